"""Uploaded pictures: pixels are bounded, metadata is removed, and whatever does not follow its format is refused."""

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat import store
from chat.models import Attachment, Conversation, attachment_storage
from chat.protocol.errors import Refused
from chat.store.images import InvalidImage, clean_image, detect_image_type, read_orientation

from ..support.pictures import (
    GIF_DELAY,
    GIF_LOOP,
    SECRET,
    apng,
    exif,
    gif,
    gif_blocks,
    gif_extension,
    jpeg,
    jpeg_segment,
    png,
    png_chunk,
    webp,
    webp_canvas,
    webp_chunk,
    webp_frame,
    webp_pixels,
)
from ..support.store_helpers import refused


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def clean(content: bytes) -> bytes:
    kind = detect_image_type(content)
    assert kind is not None
    return clean_image(content, kind).content


def size(content: bytes) -> tuple[int, int, int]:
    kind = detect_image_type(content)
    assert kind is not None
    return clean_image(content, kind)[1:]


CLEAN = {
    "png": png(5, 3, png_chunk(b"gAMA", b"\x00\x00\xb1\x8f"), png_chunk(b"iCCP", b"colors")),
    "apng": apng(5, 3, 2),
    "jpeg": jpeg(
        5, 3, jpeg_segment(0xE2, b"ICC_PROFILE\x00colors"), jpeg_segment(0xEE, b"Adobe\x00d\x00\x00\x00\x00\x01")
    ),
    "gif": gif(5, 3, GIF_LOOP, GIF_DELAY, frames=2),
    "webp": webp(webp_pixels(5, 3)),
    "webp with alpha": webp(webp_canvas(5, 3, 0x10), webp_chunk(b"ICCP", b"color"), webp_pixels(5, 3)),
    "animated webp": webp(webp_canvas(5, 3, 0x02), webp_chunk(b"ANIM", bytes(6)), *[webp_frame(5, 3)] * 2),
}


@pytest.mark.parametrize("name", CLEAN)
def test_a_picture_without_metadata_stays_as_it_is(name: str) -> None:
    """With its colour profile and everything else that changes how it looks."""
    assert clean(CLEAN[name]) == CLEAN[name]
    frames = 2 if name in ("apng", "gif", "animated webp") else 1
    assert size(CLEAN[name]) == (5, 3, frames)


WITH_METADATA = {
    "png eXIf": (png(5, 3, png_chunk(b"eXIf", SECRET)), png(5, 3)),
    "png texts": (png(5, 3, *(png_chunk(name, SECRET) for name in (b"tEXt", b"zTXt", b"iTXt", b"tIME"))), png(5, 3)),
    "png private chunk": (png(5, 3, png_chunk(b"prVt", SECRET)), png(5, 3)),
    "png trailer": (png(5, 3) + SECRET, png(5, 3)),
    "jpeg Exif": (jpeg(5, 3, jpeg_segment(0xE1, exif())), jpeg(5, 3)),
    "jpeg XMP": (jpeg(5, 3, jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + SECRET)), jpeg(5, 3)),
    "jpeg IPTC": (jpeg(5, 3, jpeg_segment(0xED, b"Photoshop 3.0\x00" + SECRET)), jpeg(5, 3)),
    "jpeg comment": (jpeg(5, 3, jpeg_segment(0xFE, SECRET)), jpeg(5, 3)),
    "jpeg second picture": (jpeg(5, 3, jpeg_segment(0xE2, b"MPF\x00" + SECRET)) + jpeg(9, 9), jpeg(5, 3)),
    "jpeg thumbnail": (
        jpeg(5, 3, jpeg_segment(0xE0, b"JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x01\x08" + SECRET)),
        jpeg(5, 3, jpeg_segment(0xE0, b"JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00")),
    ),
    "gif comment": (gif(5, 3, gif_extension(0xFE, SECRET)), gif(5, 3)),
    "gif XMP": (gif(5, 3, gif_extension(0xFF, b"XMP DataXMP", SECRET)), gif(5, 3)),
    "gif text in the loop": (gif(5, 3, gif_extension(0xFF, b"NETSCAPE2.0", b"\x01\x00\x00", SECRET)), gif(5, 3)),
    "gif trailer": (gif(5, 3) + SECRET, gif(5, 3)),
    "webp": (
        webp(webp_canvas(5, 3, 0x1C), webp_pixels(5, 3), webp_chunk(b"EXIF", SECRET), webp_chunk(b"XMP ", SECRET)),
        webp(webp_canvas(5, 3, 0x10), webp_pixels(5, 3)),
    ),
    "webp frame": (
        webp(webp_canvas(5, 3, 0x02), webp_frame(5, 3, webp_chunk(b"PrVt", SECRET))),
        webp(webp_canvas(5, 3, 0x02), webp_frame(5, 3)),
    ),
    "webp trailer": (webp(webp_pixels(5, 3)) + SECRET, webp(webp_pixels(5, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_METADATA)
def test_metadata_and_whatever_follows_the_picture_is_removed(name: str) -> None:
    given, expected = WITH_METADATA[name]
    assert clean(given) == expected
    assert SECRET not in clean(given)


LONG = 1024 * 1024
LONG_PICTURES = {
    "png": png(5, 3, png_chunk(b"IDAT", bytes(LONG))),
    "jpeg": jpeg(5, 3)[:-2] + bytes(LONG) + b"\xff\xd9",
    "gif": gif(5, 3)[:-1] + b"," + bytes(9) + b"\x02" + gif_blocks(bytes(LONG)) + b";",
    "webp": webp(webp_chunk(b"ALPH", bytes(LONG)), webp_pixels(5, 3)),
    "animated webp": webp(webp_canvas(5, 3, 0x02), webp_frame(5, 3, webp_chunk(b"ALPH", bytes(LONG)))),
}


@pytest.mark.parametrize("name", LONG_PICTURES)
def test_cleaning_a_picture_takes_no_more_memory_than_the_clean_one(name: str) -> None:
    """An allocator may keep what a thread of the storage once needed."""
    picture = LONG_PICTURES[name]
    tracemalloc.start()
    try:
        cleaned = clean(picture)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(cleaned) >= LONG
    assert peak < 1.5 * len(cleaned)


def photo(media_type: str, metadata: bytes) -> bytes:
    """A picture with these fields of Exif; without any if there are none."""
    match media_type:
        case "jpeg":
            return jpeg(8, 8, *([jpeg_segment(0xE1, b"Exif\x00\x00" + metadata)] if metadata else []))
        case "png":
            return png(8, 8, *([png_chunk(b"eXIf", metadata)] if metadata else []))
    if not metadata:
        return webp(webp_canvas(8, 8), webp_pixels(8, 8))
    return webp(webp_canvas(8, 8, 0x08), webp_pixels(8, 8), webp_chunk(b"EXIF", metadata))


FORMATS = pytest.mark.parametrize("media_type", ["jpeg", "png", "webp"])


@FORMATS
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_of_a_photo_only_its_orientation_is_kept(media_type: str, order: str, turned: int) -> None:
    cleaned = clean(photo(media_type, exif(turned, order)[6:]))
    assert SECRET not in cleaned
    if turned == 1:
        assert cleaned == photo(media_type, b"")
    else:
        start = cleaned.index(b"MM\x00*")
        kept = cleaned[start : start + 26]
        assert read_orientation(kept) == turned
        assert cleaned == photo(media_type, kept)
    assert clean(cleaned) == cleaned


@FORMATS
@pytest.mark.parametrize("turned", [0, 9, 65535, None])
def test_a_photo_whose_orientation_makes_no_sense_is_upright(media_type: str, turned: int | None) -> None:
    assert clean(photo(media_type, exif(turned)[6:])) == photo(media_type, b"")
    assert clean(photo(media_type, b"II")) == photo(media_type, b"")


def test_a_webp_may_hold_the_header_of_a_jpegs_exif_or_have_no_place_for_its_orientation() -> None:
    assert clean(photo("webp", exif(6))) == clean(photo("webp", exif(6)[6:]))
    assert clean(webp(webp_pixels(8, 8), webp_chunk(b"EXIF", exif(6)))) == webp(webp_pixels(8, 8))


DAMAGED = {
    "png without header": b"\x89PNG\r\n\x1a\n" + png_chunk(b"IDAT", b"x"),
    "png that claims a longer chunk": png()[:-12] + b"\x7f\xff\xff\xff" + b"IEND",
    "png with an unknown critical chunk": png(2, 2, png_chunk(b"CgBI", b"x")),
    "png with two headers": png(2, 2, png_chunk(b"IHDR", bytes(13))),
    "png without pixels": png(0, 2),
    "apng that announces more frames": apng(2, 2, 1, announced=2**31 - 1),
    "jpeg with two frames": jpeg(2, 2, jpeg_segment(0xC0, b"\x08\x00\x02\x00\x02\x01\x01\x11\x00")),
    "jpeg without a height": jpeg(2, 0),
    "jpeg with an unknown marker": jpeg(2, 2, jpeg_segment(0x02, b"x")),
    "jpeg without a scan": jpeg(2, 2, scans=0),
    "jpeg with more scans than encoders write": jpeg(2, 2, scans=101),
    "jpeg with an impossible length": b"\xff\xd8\xff\xe0\x00\x00" + jpeg(),
    "gif with an unknown block": gif()[:-1] + b"\x00;",
    "gif without a picture": gif(frames=0),
    "webp without a picture": webp(webp_canvas(2, 2)),
    "webp whose pixels are none": webp(webp_chunk(b"VP8L", b"nothing")),
    "webp that claims to be longer": webp()[:4] + b"\xff\xff\xff\x7f" + webp()[8:],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_picture_is_refused(people: Any, room: Conversation, name: str) -> None:
    with refused("invalid"):
        store.upload_attachment(people["ada"], room.pk, "cat", DAMAGED[name])
    assert not Attachment.objects.exists()


@pytest.mark.parametrize("name", CLEAN)
def test_a_picture_that_is_cut_anywhere_is_refused(name: str) -> None:
    whole = CLEAN[name]
    for end in range(12, len(whole)):
        with pytest.raises(InvalidImage):
            clean(whole[:end])


@given(st.sampled_from(sorted(CLEAN)), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4)), max_size=4))
def test_a_changed_picture_is_cleaned_or_refused_and_cleaning_again_changes_nothing(
    name: str, changes: list[tuple[int, bytes]]
) -> None:
    content = CLEAN[name]
    for place, put in changes:
        place = 12 + place % (len(content) - 12)
        content = content[:place] + put + content[place + len(put) :]
    try:
        cleaned = clean(content)
    except InvalidImage:
        return
    assert clean(cleaned) == cleaned


LARGE: dict[str, Callable[[int, int], bytes]] = {
    "png": png,
    "jpeg": jpeg,
    "gif": gif,
    "gif that grows with its frame": lambda width, height: gif(1, 1, frame=(width, height)),
    "webp": lambda width, height: webp(webp_pixels(width, height)),
    "webp with a canvas": lambda width, height: webp(webp_canvas(width, height), webp_pixels(1, 1)),
    "webp that grows with its pixels": lambda width, height: webp(webp_canvas(1, 1), webp_pixels(width, height)),
    "webp that grows with its frame": lambda width, height: webp(webp_canvas(1, 1), webp_frame(width, height)),
}


@pytest.mark.parametrize("name", LARGE)
def test_pixels_are_limited(people: Any, room: Conversation, settings: Any, name: str) -> None:
    settings.NOUS_CHAT = {"IMAGE_PIXELS": 60_000}
    assert store.upload_attachment(people["ada"], room.pk, "cat", LARGE[name](300, 200)).image
    with refused("too_large"):
        store.upload_attachment(people["ada"], room.pk, "cat", LARGE[name](300, 201))


@pytest.mark.parametrize(
    "animation",
    [
        apng,
        lambda width, height, frames: gif(width, height, frames=frames),
        lambda width, height, frames: webp(webp_canvas(width, height, 2), *[webp_frame(1, 1)] * frames),
    ],
    ids=["apng", "gif", "webp"],
)
def test_the_frames_of_an_animation_are_limited_together(
    people: Any, room: Conversation, settings: Any, animation: Callable[[int, int, int], bytes]
) -> None:
    settings.NOUS_CHAT = {"IMAGE_PIXELS": 60_000}
    assert store.upload_attachment(people["ada"], room.pk, "cat", animation(300, 200, 10)).image
    with refused("too_large"):
        store.upload_attachment(people["ada"], room.pk, "cat", animation(300, 200, 11))


def test_a_small_file_of_225_megapixels_is_refused(people: Any, room: Conversation) -> None:
    bomb = png(15_000, 15_000)
    assert len(bomb) < 50_000
    with pytest.raises(Refused, match="up to 25 megapixels"):
        store.upload_attachment(people["ada"], room.pk, "cat", bomb)


def test_what_is_stored_is_the_clean_picture(people: Any, room: Conversation) -> None:
    made = store.upload_attachment(people["ada"], room.pk, "cat", jpeg(5, 3, jpeg_segment(0xE1, exif())))
    row = Attachment.objects.get()
    with attachment_storage().open(str(row.file.name)) as file:
        stored = file.read()
    assert stored == jpeg(5, 3)
    assert made.size == row.size == len(stored)


FIELDS = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + bytes(65_000)
SLOW: dict[str, Callable[[int], bytes]] = {
    "png chunks": lambda size: png(2, 2, png_chunk(b"tEXt") * (size // 12)),
    "gif blocks": lambda size: gif(2, 2, gif_extension(0xFE, *[b"x"] * (size // 2))),
    "gif frames": lambda size: gif(2, 2, frames=size // 15),
    "webp chunks": lambda size: webp(webp_pixels(2, 2), webp_chunk(b"PrVt", b"") * (size // 8)),
    "jpeg segments": lambda size: jpeg(2, 2, jpeg_segment(0xFE, b"") * (size // 4)),
    "jpeg fill bytes": lambda size: jpeg(2, 2, b"\xff" * size),
    "jpeg restarts": lambda size: jpeg(2, 2)[:-2] + b"\xff\xd0" * (size // 2) + b"\xff\xd9",
    "jpeg stuffed bytes": lambda size: jpeg(2, 2)[:-2] + b"\xff\x00" * (size // 2) + b"\xff\xd9",
    "jpeg fields of Exif": lambda size: jpeg(2, 2, *[jpeg_segment(0xE1, FIELDS)] * (size // len(FIELDS))),
}  # fmt: skip


@pytest.mark.parametrize("name", SLOW)
def test_the_work_for_a_hostile_file_is_bounded_by_its_length(name: str) -> None:
    """Counted in lines of Python that run, which no busy machine changes: less than two for each byte."""
    content = SLOW[name](1_000_000)
    lines = 0

    def count(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        clean(content)
    except InvalidImage:
        pass
    finally:
        sys.settrace(before)
    assert lines < 2 * len(content), f"{lines} lines for {len(content)} bytes"
