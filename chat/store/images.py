"""Check and clean uploaded images: dimensions from the headers, metadata removed, pixels untouched.

`clean_image` walks the file's structure once, without decoding it: libraries that decode (Pillow) can be made to take
the memory that this keeps from readers, and encoding again would cost quality. It copies only the parts that are needed
to draw the image. EXIF with its GPS position, XMP, comments, thumbnails, and whatever follows the end are left out, and
so is anything else that another program could read as its own format.

The formats: PNG (W3C, "Portable Network Graphics"), JPEG (ITU T.81, JFIF), GIF89a, WebP (RFC 9649).
"""

import re
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

MAX_SCANS = 100
"""How many scans a JPEG may have: browsers draw the whole image for each one. Encoders write about ten."""

MIN_PARTS, BYTES_PER_PART = 10_000, 64
"""How many parts a file may have: so many, and one more for each 64 bytes. More of them would only cost time."""

MAX_FIELDS = 1000
"""How many fields of Exif are read. Cameras write less than a hundred into the main directory."""


class InvalidImage(Exception):
    """The file does not follow its format."""


class CleanImage(NamedTuple):
    """A file without metadata, and the size of what browsers draw. `frames` is more than 1 for an animation."""

    content: bytes
    width: int
    height: int
    frames: int = 1


def detect_image_type(content: bytes) -> str | None:
    """The media type of an image that models accept and browsers show, by its first bytes; None for anything else."""
    for signature, media_type in SIGNATURES:
        if content.startswith(signature):
            return media_type
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def clean_image(content: bytes, media_type: str) -> CleanImage:
    """Raises InvalidImage. Takes time in proportion to the length."""
    image = CLEANERS[media_type](content)
    if image.width < 1 or image.height < 1:
        raise InvalidImage("no pixels")
    return image


Part = bytes | memoryview


class Reader:
    """Reads a file from its beginning to its end. Raises InvalidImage if it ends too early or has too many parts.

    What it returns are views, so that cleaning a file takes no more memory than the clean one: each thread of the
    storage would keep a multiple of it, because allocators give back little of what threads other than the main one
    free.
    """

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = memoryview(content)
        self.position = 0
        self._parts = MIN_PARTS + len(content) // BYTES_PER_PART

    def take(self, size: int) -> memoryview:
        """The next `size` bytes."""
        end = self.position + size
        if end > len(self.content):
            raise InvalidImage("ends too early")
        taken = self.content[self.position : end]
        self.position = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def count_part(self) -> None:
        self._parts -= 1
        if self._parts < 0:
            raise InvalidImage("too many parts")

    @property
    def at_end(self) -> bool:
        return self.position >= len(self.content)


# --- Exif, of which all formats but GIF keep one field

EXIF_HEADER = b"Exif\x00\x00"


def read_orientation(tiff: Part) -> int:
    """How an image must be turned (Exif 2.32, 4.6.4.A): 1, upright, to 8. 1 if the data does not say so in its main
    directory; damaged metadata is no reason to refuse an image.
    """
    order = {b"II*\x00": "little", b"MM\x00*": "big"}.get(bytes(tiff[:4]))
    if order is None:
        return 1

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)  # type: ignore[arg-type]

    directory = number(4, 4)
    for index in range(min(number(directory, 2), MAX_FIELDS)):
        entry = directory + 2 + 12 * index
        if number(entry, 2) == 0x0112:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def _exif(orientation: int) -> bytes:
    """Exif with one field, because browsers turn an image by it."""
    entry = bytes.fromhex("0112 0003 00000001") + orientation.to_bytes(2, "big") + b"\x00\x00"
    return b"MM\x00*" + bytes.fromhex("00000008 0001") + entry + bytes(4)


# --- PNG, with APNG

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_NEEDED = frozenset(
    (b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT",
     b"bKGD", b"pHYs", b"hIST", b"sPLT", b"acTL", b"fcTL", b"fdAT")
)  # fmt: skip


def clean_png(content: bytes) -> CleanImage:
    file = Reader(content)
    kept: list[Part] = [file.take(len(PNG_SIGNATURE))]
    name, header = _take_chunk(file)
    if name != b"IHDR" or len(header) != 25:
        raise InvalidImage("no IHDR")
    kept.append(header)
    orientation = 1
    frames = announced = 0
    while name != b"IEND":
        name, chunk = _take_chunk(file)
        frames += name == b"fcTL"
        if name == b"acTL":
            announced = int.from_bytes(chunk[8:12], "big")
        if name in PNG_NEEDED:
            kept.append(chunk)
        elif name == b"eXIf" and orientation == 1:
            orientation = read_orientation(chunk[8:-4])
        elif not name[0] & 0x20:  # the case of the first letter says whether a decoder may skip it
            raise InvalidImage("unknown critical chunk")
    if announced != frames:
        raise InvalidImage("wrong number of frames")
    if orientation != 1:
        body = b"eXIf" + _exif(orientation)
        kept.insert(2, _number(len(body) - 4) + body + _number(zlib.crc32(body)))
    width, height = int.from_bytes(header[8:12], "big"), int.from_bytes(header[12:16], "big")
    return CleanImage(b"".join(kept), width, height, max(frames, 1))


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _take_chunk(file: Reader) -> tuple[bytes, memoryview]:
    """The name of a PNG's next chunk, and all its bytes."""
    file.count_part()
    start = file.position
    size = file.number(4)
    name = bytes(file.take(4))
    file.take(size + 4)  # with its CRC
    return name, file.content[start : file.position]


# --- JPEG

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_NEEDED = FRAME_HEADERS | {0xC4, 0xCC, 0xDB, 0xDD, SOS}  # with the tables, and the restart interval
APP0, APP1, APP2, APP14 = 0xE0, 0xE1, 0xE2, 0xEE

# In the data of a scan, 0xFF is followed by 0 or by a restart marker (T.81, B.1.1.5). Anything else ends the scan.
END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def clean_jpeg(content: bytes) -> CleanImage:
    file = Reader(content)
    kept: list[Part] = [file.take(2)]
    size: tuple[int, int] | None = None
    orientation = 1
    scans = 0
    while (marker := _take_marker(file)) != EOI:
        start = file.position - 2
        length = file.number(2)
        body = bytes(file.take(max(length - 2, 0)))
        if marker == APP0 and body.startswith(b"JFIF\x00") and len(body) >= 14:
            kept.append(_segment(APP0, body[:12] + b"\x00\x00"))  # without its thumbnail
        elif marker == APP1 and body.startswith(b"Exif\x00") and orientation == 1:
            orientation = read_orientation(body[6:])
        elif (marker == APP2 and body.startswith(b"ICC_PROFILE\x00")) or (marker == APP14 and body[:5] == b"Adobe"):
            kept.append(_segment(marker, body))
        elif marker in FRAME_HEADERS:
            if size is not None or len(body) < 6:
                raise InvalidImage("more than one frame")
            size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
        if marker in JPEG_NEEDED:
            kept.append(file.content[start : file.position])
        elif not (APP0 <= marker <= 0xEF or marker == 0xFE):
            raise InvalidImage("unknown marker")
        if marker == SOS:
            scans += 1
            kept.append(_take_scan(file))
    if size is None or not 1 <= scans <= MAX_SCANS:
        raise InvalidImage("no image, or too many scans")
    if orientation != 1:
        kept.insert(1, _segment(APP1, EXIF_HEADER + _exif(orientation)))
    return CleanImage(b"".join([*kept, bytes((0xFF, EOI))]), *size)


def _take_marker(file: Reader) -> int:
    file.count_part()
    if file.number(1) != 0xFF:
        raise InvalidImage("no marker")
    while (marker := file.number(1)) == 0xFF:  # a marker can follow any number of fill bytes
        file.count_part()
    return marker


def _take_scan(file: Reader) -> memoryview:
    """The data between the header of a scan and the next marker."""
    end = END_OF_SCAN.search(file.content, file.position)
    if end is None:
        raise InvalidImage("ends too early")
    return file.take(end.start() - file.position)


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


# --- GIF

LOOP = re.compile(rb"!\xff\x0b(NETSCAPE2\.0|ANIMEXTS1\.0)\x03\x01..\x00", re.DOTALL)
"""The application extension that says how often to repeat an animation. All others are metadata."""


def clean_gif(content: bytes) -> CleanImage:
    file = Reader(content)
    header = file.take(13)
    kept: list[Part] = [header, _take_colors(file, header[10])]
    width, height = _pair(header, 6)
    frames = 0
    while (kind := bytes(file.take(1))) != b";":
        file.count_part()
        start = file.position - 1
        if kind == b",":
            place = file.take(9)
            _take_colors(file, place[8])
            file.take(1)  # the size of codes
            _skip_blocks(file)
            kept.append(file.content[start : file.position])
            frames += 1
            # Browsers enlarge the canvas to hold the first frame; a later one should not be larger either.
            (left, top), (wide, high) = _pair(place, 0), _pair(place, 4)
            width, height = max(width, left + wide), max(height, top + high)
        elif kind == b"!":
            label = file.number(1)
            _skip_blocks(file)
            extension = file.content[start : file.position]
            if (label == 0xF9 and len(extension) == 8) or LOOP.fullmatch(extension):
                kept.append(extension)
        else:
            raise InvalidImage("unknown block")
    if not frames:
        raise InvalidImage("no image")
    return CleanImage(b"".join([*kept, b";"]), width, height, frames)


def _pair(content: Part, start: int) -> tuple[int, int]:
    """Two numbers of GIF: a width and a height, or a place."""
    return int.from_bytes(content[start : start + 2], "little"), int.from_bytes(
        content[start + 2 : start + 4], "little"
    )


def _take_colors(file: Reader, flags: int) -> Part:
    """The table of colors that may follow a header."""
    return file.take(3 * 2 ** ((flags & 7) + 1)) if flags & 0x80 else b""


def _skip_blocks(file: Reader) -> None:
    while size := file.number(1):
        file.count_part()
        file.take(size)


# --- WebP

VP8X_ANIMATION, VP8X_EXIF, VP8X_ALPHA, VP8X_ICC = 0x02, 0x08, 0x10, 0x20


def clean_webp(content: bytes) -> CleanImage:
    size = int.from_bytes(content[4:8], "little") + 8
    if not 20 <= size <= len(content):
        raise InvalidImage("ends too early")
    kept: list[Part] = []
    sizes: list[tuple[int, int]] = []
    flags: int | None = None
    orientation = 1
    frames = 0
    for name, body in _webp_chunks(memoryview(content)[12:size]):
        if name == b"VP8X" and not kept and len(body) == 10:
            flags = body[0] & (VP8X_ANIMATION | VP8X_ICC | VP8X_ALPHA)
            sizes.append((_plus_one(body, 4), _plus_one(body, 7)))
            kept += _webp_chunk(name, bytes((flags,)), body[1:])
        elif name == b"ANMF" and len(body) >= 16:
            left, top = 2 * int.from_bytes(body[0:3], "little"), 2 * int.from_bytes(body[3:6], "little")
            sizes.append((left + _plus_one(body, 6), top + _plus_one(body, 9)))
            frame: list[Part] = [body[:16]]
            for part, data in _webp_chunks(body[16:]):
                if part in (b"ALPH", b"VP8 ", b"VP8L"):
                    frame += _webp_chunk(part, data)
                if part in (b"VP8 ", b"VP8L"):
                    sizes.append(_bitstream_size(part, data))
            kept += _webp_chunk(name, *frame)
            frames += 1
        elif name in (b"VP8 ", b"VP8L"):
            sizes.append(_bitstream_size(name, body))
            kept += _webp_chunk(name, body)
            frames += 1
        elif name in (b"ALPH", b"ANIM", b"ICCP"):
            kept += _webp_chunk(name, body)
        elif name == b"EXIF" and orientation == 1:
            orientation = read_orientation(body[6:] if body[:6] == EXIF_HEADER else body)  # some encoders write it
    if not frames:
        raise InvalidImage("no image")
    if orientation != 1 and flags is not None:
        kept[2] = bytes((flags | VP8X_EXIF,))  # of VP8X, the first chunk
        kept += _webp_chunk(b"EXIF", _exif(orientation))
    width, height = max(width for width, _ in sizes), max(height for _, height in sizes)
    return CleanImage(b"".join(_webp_chunk(b"RIFF", b"WEBP", *kept)), width, height, frames)


def _webp_chunks(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    file = Reader(content)
    while not file.at_end:
        file.count_part()
        name = bytes(file.take(4))
        size = int.from_bytes(file.take(4), "little")
        yield name, file.take(size)
        if size % 2 and not file.at_end:
            file.take(1)


def _webp_chunk(name: bytes, *body: Part) -> list[Part]:
    """The parts of a chunk with this body, which is given in parts as well."""
    size = sum(map(len, body))
    return [name, size.to_bytes(4, "little"), *body, bytes(size % 2)]


def _plus_one(body: Part, start: int) -> int:
    """A width or height, which is stored as one less, in 24 bits."""
    return int.from_bytes(body[start : start + 3], "little") + 1


def _bitstream_size(name: bytes, body: Part) -> tuple[int, int]:
    """The size of one image: RFC 6386, 9.1 (VP8), and RFC 9649, 3.4 (VP8L)."""
    if name == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = _pair(body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if name == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    raise InvalidImage("no bitstream")


SIGNATURES = (
    (PNG_SIGNATURE, "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
CLEANERS: dict[str, Callable[[bytes], CleanImage]] = {
    "image/png": clean_png,
    "image/jpeg": clean_jpeg,
    "image/gif": clean_gif,
    "image/webp": clean_webp,
}
