"""Image files for tests, byte by byte: whole ones, and ones with metadata or a damaged structure."""

import struct
import zlib

SECRET = b"GPS 52.5200 N, 13.4050 E"
"""Stands for what a camera or an editor writes into a picture."""


def png_chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int = 2, height: int = 2, *extra: bytes) -> bytes:
    """A black image of one bit per pixel. `extra` are chunks between the header and the pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), *extra, png_chunk(b"IDAT", pixels), png_chunk(b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def apng(width: int, height: int, frames: int, announced: int | None = None) -> bytes:
    control = [
        png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 10, 0, 0))
        for number in range(frames)
    ]
    count = frames if announced is None else announced
    return png(width, height, png_chunk(b"acTL", struct.pack(">II", count, 0)), *control)


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(width: int = 8, height: int = 8, *extra: bytes, scans: int = 1) -> bytes:
    """A grey JPEG with the shortest tables. `extra` are segments before the frame's header."""
    frame = struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)
    tables = [jpeg_segment(0xDB, bytes(1) + bytes([1] * 64))]
    tables += [jpeg_segment(0xC4, bytes([kind, 1, *[0] * 15, 0])) for kind in (0x00, 0x10)]
    scan = jpeg_segment(0xDA, bytes([1, 1, 0, 0, 63, 0])) + b"\x3f\xff\x00\x3f"
    parts = [b"\xff\xd8", *extra, *tables, jpeg_segment(0xC0, frame), scan * scans, b"\xff\xd9"]
    return b"".join(parts)


def exif(orientation: int | None = None, order: str = ">") -> bytes:
    """The body of a JPEG's Exif segment, with a position in it."""
    fields = [] if orientation is None else [struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)]
    fields.append(struct.pack(f"{order}HHII", 0x8825, 4, 1, 100))
    head = b"MM\x00*" if order == ">" else b"II*\x00"
    return b"Exif\x00\x00" + head + struct.pack(f"{order}IH", 8, len(fields)) + b"".join(fields) + bytes(4) + SECRET


def gif_blocks(body: bytes) -> bytes:
    pieces = [body[start : start + 255] for start in range(0, len(body), 255)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\x00"


def gif_extension(label: int, *blocks: bytes) -> bytes:
    return bytes([0x21, label]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00"


GIF_DELAY = gif_extension(0xF9, b"\x00\x0a\x00\x00")
GIF_LOOP = gif_extension(0xFF, b"NETSCAPE2.0", b"\x01\x00\x00")


def gif(width: int = 1, height: int = 1, *extra: bytes, frames: int = 1, frame: tuple[int, int] = (1, 1)) -> bytes:
    """Black frames of one pixel, or as large as `frame` says. `extra` are extensions before each frame."""
    image = b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02" + gif_blocks(b"\x44\x01")
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return head + (b"".join(extra) + image) * frames + b";"


def webp_chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def webp_pixels(width: int, height: int) -> bytes:
    return webp_chunk(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\x00\x88\x88\x08")


def webp_canvas(width: int, height: int, flags: int = 0) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks or (webp_pixels(1, 1),))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_frame(width: int, height: int, *more: bytes) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"ANMF", bytes(6) + size + bytes(4) + webp_pixels(width, height) + b"".join(more))
