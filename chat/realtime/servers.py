"""The servers behind the channel layer, by number. The pub/sub layer of channels_redis may have several `hosts`: a hash
of a name decides which of them carries a group or a channel. Every other layer counts as one server.

The only module that knows how channels_redis shares names out. It has no public interface for that.
"""

from typing import Any
from uuid import uuid4

from channels.layers import get_channel_layer
from django.core.exceptions import ImproperlyConfigured


def channel_layer() -> Any:
    """The site's default layer."""
    layer = get_channel_layer()
    if layer is None:
        raise ImproperlyConfigured("The chat needs a channel layer: set CHANNEL_LAYERS (docs/embedding.md).")
    return layer


def count() -> int:
    """How many servers the layer has."""
    return len(_shards(get_channel_layer()))


def of_group(group: str) -> int:
    """The server that carries a group."""
    layer = get_channel_layer()
    shards = _shards(layer)
    return 0 if len(shards) == 1 else shards.index(layer._get_shard(layer._get_group_channel_name(group)))


def of_channel(channel: str) -> int:
    """The server that carries a channel."""
    layer = get_channel_layer()
    shards = _shards(layer)
    return 0 if len(shards) == 1 else shards.index(layer._get_shard(channel))


async def new_channel(prefix: str, server: int) -> str:
    """A new channel on this server. Raises what the layer raises."""
    layer = get_channel_layer()
    if count() == 1:
        name: str = await layer.new_channel(prefix)
        return name
    while of_channel(name := f"{layer.prefix}{prefix}{uuid4().hex}") != server:
        pass
    await layer._subscribe_to_channel(name)
    return name


def _shards(layer: Any) -> list[Any]:
    shards: list[Any] = getattr(layer, "_shards", [None])
    return shards
