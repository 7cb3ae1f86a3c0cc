#!/usr/bin/env python3
"""Writes an OCI image layout (first argument) with all that is odd in layers, tag `odd`.

Further arguments leave something out that another tool cannot read: `no-old-sparse`,
`no-duplicates`.

Headers are written by hand or by GNU tar, so that they are what they are meant to be: records of
extended headers are bytes and not text, numbers are in base 256 only where they say so.
"""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile

OUT, WITHOUT = sys.argv[1], sys.argv[2:]
BLOBS = os.path.join(OUT, "blobs", "sha256")
# VFS_CAP_REVISION_2 | effective, permitted = cap_net_raw, inheritable = nothing.
CAPABILITY = bytes([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])


def block(name, flag, mode=0o644, uid=0, gid=0, size=0, mtime=0, link=b"", dev=(0, 0)):
    """A ustar header; numbers that do not fit are left to the extended header."""

    def octal(number, width):
        if not 0 <= number < 8 ** (width - 1):
            number = 0
        return b"%0*o\0" % (width - 1, number)

    head = name[:100].ljust(100, b"\0") + octal(mode, 8) + octal(uid, 8) + octal(gid, 8)
    head += octal(size, 12) + octal(int(mtime), 12) + b" " * 8 + flag + link[:100].ljust(100, b"\0")
    head += b"ustar\x0000" + b"\0" * 64 + octal(dev[0], 8) + octal(dev[1], 8)
    head = head.ljust(512, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def padded(data):
    return data + b"\0" * (-len(data) % 512)


def record(key, value):
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


class Pax:
    """A layer in the POSIX format."""

    def __init__(self):
        self.out = b""

    def add(self, name, flag=b"0", data=b"", xattrs=(), mtime=1_000_000_000, link=b"", **header):
        name, link = (x.encode() if isinstance(x, str) else x for x in (name, link))
        records = [(b"SCHILY.xattr." + key, value) for key, value in xattrs]
        if len(name) > 100 or any(b > 127 for b in name):
            records.append((b"path", name))
        if len(link) > 100 or any(b > 127 for b in link):
            records.append((b"linkpath", link))
        if isinstance(mtime, str) or mtime < 0:
            records.append((b"mtime", str(mtime).encode()))
            mtime = 0
        for key in ("uid", "gid"):
            if header.get(key, 0) >= 8**7:
                records.append((key.encode(), str(header[key]).encode()))
        if records:
            data_of = b"".join(record(*pair) for pair in records)
            self.out += block(b"PaxHeaders/x", b"x", size=len(data_of)) + padded(data_of)
        self.out += block(name, flag, size=len(data), mtime=mtime, link=link, **header)
        self.out += padded(data)

    def dir(self, name, mode=0o755, **header):
        self.add(name + b"/" if isinstance(name, bytes) else name + "/", b"5", mode=mode, **header)

    def tar(self):
        return self.out + b"\0" * 1024


def first():
    layer = Pax()
    layer.dir(".", mtime=900_000_000)
    layer.dir("modes")
    for mode in (0o4755, 0o2755, 0o6711, 0o0000, 0o0444, 0o1644):
        layer.add(f"modes/{mode:04o}", data=b"#!/bin/sh\n", mode=mode, uid=7, gid=8)
    layer.dir("modes/sticky", 0o1777)
    layer.dir("modes/setgid", 0o2775, uid=3, gid=4)
    layer.dir("modes/closed", 0o000)
    layer.dir("xattrs", xattrs=[(b"user.of.a.directory", b"x")])
    layer.add("xattrs/capability", data=b"x", mode=0o755, xattrs=[(b"security.capability", CAPABILITY)])
    layer.add("xattrs/user", data=b"x", xattrs=[(b"user.text", b"value"), (b"user.binary", b"\0\xff\n=")])
    layer.add("xattrs/owned", data=b"x", mode=0o755, uid=1000, gid=1000,
              xattrs=[(b"security.capability", CAPABILITY)])
    layer.dir("times")
    layer.add("times/before-1970", data=b"x", mtime=-86_400)
    layer.add("times/fraction", data=b"x", mtime="1234567890.123456789")
    layer.add("times/fraction-before-1970", data=b"x", mtime="-1.25")
    layer.add("times/far", data=b"x", mtime=7_000_000_000)
    layer.add("times/link", b"2", link="far", mtime=1_111_111_111)
    layer.dir("owners")
    layer.add("owners/large", data=b"x", uid=2**21 + 5, gid=2**31 - 2)
    layer.add("owners/link", b"2", link="/nowhere", uid=11, gid=12)
    layer.dir("special")
    layer.add("special/char", b"3", mode=0o666, dev=(1, 3))
    layer.add("special/block", b"4", mode=0o660, gid=6, dev=(7, 0))
    layer.add("special/fifo", b"6", mode=0o640)
    layer.add("empty")
    layer.dir("links/one")
    layer.dir("links/two")
    layer.add("links/one/file", data=b"linked", mode=0o600, uid=5, xattrs=[(b"user.l", b"1")])
    layer.add("links/two/hard", b"1", link="links/one/file", mode=0o600, uid=5)
    layer.add("links/symlink", b"2", link="one/file")
    layer.add("links/hard-symlink", b"1", link="links/symlink", mode=0o777)
    # Directories that nothing names.
    layer.add("implicit/deeply/file", data=b"x")
    # What later layers change.
    for name in ("replaced/dir-by-file", "replaced/dir-by-symlink", "replaced/dir-kept", "gone/dir",
                 "opaque/first/sub", "opaque/last/sub"):
        layer.dir(name, mtime=1_000_000_001)
        layer.add(f"{name}/old", data=b"old")
    layer.add("replaced/file-by-dir", data=b"old")
    layer.add("replaced/symlink-by-dir", b"2", link="dir-kept")
    layer.add("replaced/symlink-by-file", b"2", link="dir-kept/old")
    layer.add("replaced/file-by-fifo", data=b"old")
    layer.add("gone/file", data=b"old")
    layer.add("gone/and-back", data=b"old")
    layer.add("gone/link", b"2", link="file")
    layer.add("opaque/first/kept-name", data=b"old", mode=0o600)
    return layer.tar()


def long_names():
    """In the format of GNU tar: long names and large numbers the GNU way."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            def add(name, **attributes):
                info = tarfile.TarInfo(name)
                info.mtime = 1_000_000_002
                for key, value in attributes.items():
                    setattr(info, key, value)
                tar.addfile(info)

            add("long", type=tarfile.DIRTYPE, mode=0o755)
            deep = "long/" + "d" * 255
            add(deep, type=tarfile.DIRTYPE, mode=0o750)
            add(deep + "/" + "f" * 255, mode=0o640)
            add("long/symlink", type=tarfile.SYMTYPE, linkname="t" * 300, mode=0o777)
            add("long/hard", type=tarfile.LNKTYPE, linkname=deep + "/" + "f" * 255, mode=0o640)
            add("long/base256", uid=2**21 + 1, gid=2**22)
            add("long/before-1970", mtime=-5)
        file.seek(0)
        return file.read()


def odd_names():
    layer = Pax()
    layer.dir("names")
    for name in (b"caf\xe9", b"\xff\xfe", b"new\nline", b" space ", b"back\\slash", "schön".encode(),
                 b"-n", b"*", b"quo\"te'"):
        layer.add(b"names/" + name, data=name)
    layer.add(b"names/link", b"2", link=b"caf\xe9")
    layer.add(b"names/hard", b"1", link=b"names/caf\xe9")
    layer.dir(b"names/" + b"p" * 200)
    layer.add(b"names/" + b"p" * 200 + b"/" + b"q" * 100, data=b"long")
    # Not in order, and a directory after what is in it.
    layer.add("late/file", data=b"x")
    layer.dir("late", 0o711, uid=9, mtime=1_000_000_009)
    # The same name twice: the second counts.
    if "no-duplicates" not in WITHOUT:
        layer.add("twice", data=b"first", mode=0o600)
    layer.add("twice", data=b"second", mode=0o640)
    return layer.tar()


def sparse(*options):
    """Holes, as GNU tar writes them."""
    with tempfile.TemporaryDirectory() as dir:
        name = "sparse-" + options[0].rsplit("=")[-1]
        os.mkdir(os.path.join(dir, name))
        path = os.path.join(dir, name, "holes")
        with open(path, "wb") as file:
            for piece in range(30):
                file.seek(piece * 100_000)
                file.write(b"piece %d" % piece)
            file.truncate(4_000_000)
        with open(os.path.join(dir, name, "hole-only"), "wb") as file:
            file.truncate(1_000_000)
        return subprocess.run(
            ["tar", "-C", dir, "--sparse", "--owner=1:1", "--group=2:2", "--mtime=@1000000003",
             "--sort=name", *options, "-cf", "-", name],
            check=True, stdout=subprocess.PIPE).stdout


def changes():
    layer = Pax()
    old = 1_000_000_004
    layer.add("replaced/dir-by-file", data=b"new", mtime=old)
    layer.add("replaced/dir-by-symlink", b"2", link="dir-kept", mtime=old)
    layer.dir("replaced/file-by-dir", 0o700, mtime=old)
    layer.add("replaced/file-by-dir/new", data=b"new", mtime=old)
    layer.dir("replaced/symlink-by-dir", mtime=old)
    layer.add("replaced/symlink-by-dir/new", data=b"new", mtime=old)
    layer.add("replaced/symlink-by-file", data=b"new", mtime=old)
    layer.add("replaced/file-by-fifo", b"6", mtime=old)
    layer.dir("gone", mtime=old)
    for name in ("dir", "file", "link", "and-back"):
        layer.add(f"gone/.wh.{name}")
    layer.dir("opaque/first", 0o711, mtime=old)
    layer.add("opaque/first/.wh..wh..opq")
    layer.add("opaque/first/kept-name", data=b"new", mtime=old)
    layer.dir("opaque/first/sub", 0o700, mtime=old)
    layer.add("opaque/first/sub/new", data=b"new", mtime=old)
    # The marker counts for the layers below, wherever it stands.
    layer.dir("opaque/last", mtime=old)
    layer.add("opaque/last/new", data=b"new", mtime=old)
    layer.add("opaque/last/.wh..wh..opq")
    # Other attributes of a directory, other content of a file that has two names.
    layer.dir("modes/sticky", 0o755, uid=1, mtime=old)
    layer.add("links/two/hard", data=b"no longer linked", mtime=old)
    return layer.tar()


def back():
    layer = Pax()
    layer.add("gone/and-back", data=b"new", mtime=1_000_000_005)
    layer.dir("gone/dir", mtime=1_000_000_005)
    # In directories that this layer does not name.
    layer.add("replaced/dir-kept/added", data=b"x")
    layer.add("opaque/last/added", data=b"x")
    layer.add("modes/setgid/added", data=b"x")
    return layer.tar()


def put(data, media_type):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(BLOBS, digest), "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def main():
    os.makedirs(BLOBS)
    layers, diff_ids = [], []
    tars = [first(), long_names(), odd_names(),
            sparse("--format=posix", "--sparse-version=1.0", "--pax-option=delete=atime,delete=ctime"),
            changes(), back()]
    if "no-old-sparse" not in WITHOUT:
        tars.append(sparse("--format=gnu"))
    for number, tar in enumerate(tars):
        diff_ids.append("sha256:" + hashlib.sha256(tar).hexdigest())
        kind = "application/vnd.oci.image.layer.v1.tar"
        if number % 2:
            layers.append(put(tar, kind))
        else:
            layers.append(put(gzip.compress(tar, mtime=0), kind + "+gzip"))
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/none"]},
              "rootfs": {"type": "layers", "diff_ids": diff_ids},
              "history": [{"created_by": f"layer {n}"} for n in range(len(layers))]}
    config = put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config, "layers": layers}
    manifest = put(json.dumps(manifest).encode(), manifest["mediaType"])
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "odd"}
    with open(os.path.join(OUT, "oci-layout"), "w") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)
    with open(os.path.join(OUT, "index.json"), "w") as file:
        json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)


main()
