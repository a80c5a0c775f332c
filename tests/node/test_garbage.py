"""The garbage collector leaves the modules of a site alone, so that streams do not wait for it so long."""

import gc

from chat import asgi


async def _http(scope: object, receive: object, send: object) -> None:
    """A site without pages."""


def test_what_exists_before_the_application_is_never_examined_again() -> None:
    gc.collect()
    marker: list[object] = [{}]
    assert any(found is marker for found in gc.get_objects())
    try:
        asgi.application(_http)
        assert not any(found is marker for found in gc.get_objects())
    finally:
        gc.unfreeze()
