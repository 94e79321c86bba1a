"""The checksum that identifies a raw file: its bytes in, a short text out. It is fast, and no protection from forgery.

XXH3, 128 bits (github Cyan4973/xxHash): of one file it is what `xxh128sum FILE` prints.
"""

from __future__ import annotations

import xxhash


def source_digest(*parts: bytes) -> str:
    """Return 32 hexadecimal digits for a file; for several files that make one source, the checksum of theirs."""
    digests = [xxhash.xxh3_128_hexdigest(part) for part in parts]
    return digests[0] if len(digests) == 1 else xxhash.xxh3_128_hexdigest("".join(digests).encode())
