"""Manifests that must be refused before anything is enrolled, each with what the message must say."""

import codecs
from collections.abc import Mapping

HEADER = b"path,subject\n"

BAD: Mapping[str, tuple[str, bytes]] = {
    "empty": ("columns path and subject, .* got nothing", b""),
    "other columns": ("got 'name', 'file'", b"name,file\nada,1.jpg\n"),
    "semicolons": ("separated by a comma; got 'path;subject'", b"path;subject\n1.jpg;ada\n"),
    "climbs out": ("line 2: ../1.jpg lies outside the manifest", HEADER + b"../1.jpg,ada\n"),
    "climbs out further in": ("line 3: .* outside the manifest", HEADER + b"1.jpg,ada\na/../../1.jpg,ada\n"),
    "absolute": ("line 2: /etc/1.jpg lies outside the manifest", HEADER + b"/etc/1.jpg,ada\n"),
    "linked out": ("line 2: out/1.jpg lies outside the manifest", HEADER + b"out/1.jpg,ada\n"),
    "loop of links": ("line 2: ", HEADER + b"loop/1.jpg,ada\n"),
    "zero byte": ("line 2: .* cannot be the path of a photo|not a CSV file", HEADER + b"a\0b.jpg,ada\n"),
    "no subject": ("line 2: path and subject", HEADER + b"1.jpg,\n"),
    "no path": ("line 3: path and subject", HEADER + b"1.jpg,ada\n  ,ada\n"),
    "too few cells": ("line 2: path and subject", HEADER + b"1.jpg\n"),
    "subject too long": ("line 2: .* 255 characters", HEADER + b"1.jpg," + b"a" * 256 + b"\n"),
    "Latin-1": (r"not in UTF-8 \(byte 20 is 0xfc\).*CSV UTF-8", HEADER + "1.jpg,Jürgen\n".encode("latin-1")),
    "UTF-16": ("not in UTF-8", codecs.BOM_UTF16_LE + "path,subject\n1.jpg,ada\n".encode("utf-16-le")),
    "binary": ("not in UTF-8", bytes(range(256))),
    "open quote": ("not a CSV file", HEADER + b'"1.jpg,ada\n'),
    "huge cell": ("not a CSV file", HEADER + b"1.jpg," + b"a" * 200_000 + b"\n"),
    "zeros": ("columns path and subject|not a CSV file", bytes(1000)),
}
