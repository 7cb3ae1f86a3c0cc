//! Builds archives from descriptions, also ones that no proper tool would write. It shares no
//! code with what it tests.
//!
//! A description has one entry a line: `KIND NAME KEY=VALUE…`. Kinds are `file`, `dir`, `symlink`,
//! `link`, `char`, `block`, `fifo`, `sparse` (old GNU), `type-X` for any type flag X, `global` (an
//! extended header for all that follows), `zeros` (a block of zeros) and `cut` (removes the last
//! NAME bytes; it comes last). Keys:
//! `mode` (octal), `uid`, `gid`, `mtime`, `data`, `times` (how often data is repeated), `size`
//! (instead of the data's), `to` (target), `dev` (MAJOR:MINOR), `format` (`ustar`, `gnu`, `v7`),
//! `prefix` (ustar's), `sum=bad`, `gnu-name`, `gnu-link` (long names the GNU way), `map`
//! (`OFFSET:LENGTH,…`), `real` (a sparse file's length), `pax.KEY` (a record of an extended
//! header), `raw-pax` (the bytes of one), `base256` (names of the fields to write so).
//! In values `\s` is a space, `\n` a newline, `\0` a NUL and `\xHH` any byte. `#` begins a comment.

use std::collections::BTreeMap;

/// The archive that `text` describes, with its end marker.
pub(crate) fn build(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut cut = None;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split(' ').filter(|w| !w.is_empty());
        let kind = words.next().unwrap();
        let name = unescape(words.next().unwrap_or(""));
        match kind {
            "zeros" => out.extend([0; 512]),
            "cut" => cut = Some(String::from_utf8(name).unwrap().parse::<usize>().unwrap()),
            _ => entry(&mut out, kind, &name, words),
        }
    }
    out.extend([0; 1024]);
    if let Some(cut) = cut {
        out.truncate(out.len() - cut);
    }
    out
}

fn entry<'a>(out: &mut Vec<u8>, kind: &str, name: &[u8], words: impl Iterator<Item = &'a str>) {
    let mut keys: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut pax = Vec::new();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or_else(|| panic!("no `=` in {word}"));
        match key.strip_prefix("pax.") {
            // A key may have an equals sign of its own nowhere.
            Some(key) => pax.extend(record(key.as_bytes(), &unescape(value))),
            None => drop(keys.insert(key, unescape(value))),
        }
    }
    pax.extend(keys.remove("raw-pax").unwrap_or_default());
    let text = |key: &str| keys.get(key).map(|v| std::str::from_utf8(v).unwrap());
    let number =
        |key: &str, or: i64| text(key).map_or(or, |v| v.parse().unwrap_or_else(|_| panic!("{v}")));
    let flag = match kind {
        "file" => b'0',
        "link" => b'1',
        "symlink" => b'2',
        "char" => b'3',
        "block" => b'4',
        "dir" => b'5',
        "fifo" => b'6',
        "sparse" => b'S',
        "global" => b'g',
        other => match other.strip_prefix("type-").unwrap_or_else(|| panic!("{other}")) {
            "NUL" => 0,
            flag => flag.as_bytes()[0],
        },
    };
    if flag == b'g' {
        return extension(out, b'g', &pax);
    }
    if !pax.is_empty() {
        extension(out, b'x', &pax);
    }
    for (key, flag) in [("gnu-name", b'L'), ("gnu-link", b'K')] {
        if let Some(value) = keys.get(key) {
            extension(out, flag, &[value, &b"\0"[..]].concat());
        }
    }
    let data = keys.get("data").cloned().unwrap_or_default();
    let data = data.repeat(usize::try_from(number("times", 1)).unwrap());
    let mode = text("mode").unwrap_or(if kind == "dir" { "755" } else { "644" });
    let (major, minor) = text("dev").map_or((0, 0), |dev| {
        let (major, minor) = dev.split_once(':').unwrap();
        (major.parse().unwrap(), minor.parse().unwrap())
    });
    let mut header = [0; 512];
    put(&mut header, 0, name);
    let base256: Vec<&str> = text("base256").map_or(Vec::new(), |v| v.split(',').collect());
    for (field, at, len, value) in [
        ("mode", 100, 8, i64::from_str_radix(mode, 8).unwrap()),
        ("uid", 108, 8, number("uid", 0)),
        ("gid", 116, 8, number("gid", 0)),
        ("size", 124, 12, number("size", i64::try_from(data.len()).unwrap())),
        ("mtime", 136, 12, number("mtime", 0)),
        ("major", 329, 8, major),
        ("minor", 337, 8, minor),
    ] {
        if base256.contains(&field) {
            let mut bytes = vec![if value < 0 { 0xff } else { 0 }; len];
            bytes[len - 8..].copy_from_slice(&value.to_be_bytes());
            bytes[0] |= 0x80;
            put(&mut header, at, &bytes);
        } else if at < 300 || text("format") != Some("v7") {
            put(&mut header, at, format!("{value:0width$o}", width = len - 1).as_bytes());
        }
    }
    header[156] = flag;
    put(&mut header, 157, keys.get("to").map_or(b"", Vec::as_slice));
    match text("format").unwrap_or("ustar") {
        "ustar" => put(&mut header, 257, b"ustar\x0000"),
        "gnu" => put(&mut header, 257, b"ustar  \0"),
        _ => {}
    }
    put(&mut header, 345, keys.get("prefix").map_or(b"", Vec::as_slice));
    let map: Vec<(u64, u64)> = text("map").map_or(Vec::new(), |map| {
        map.split(',')
            .map(|piece| piece.split_once(':').unwrap())
            .map(|(offset, length)| (offset.parse().unwrap(), length.parse().unwrap()))
            .collect()
    });
    let mut more = Vec::new();
    if flag == b'S' {
        put(&mut header, 257, b"ustar  \0");
        let octal = |n: u64| format!("{n:011o}\0").into_bytes();
        let pairs: Vec<Vec<u8>> =
            map.iter().map(|(offset, length)| [octal(*offset), octal(*length)].concat()).collect();
        put(&mut header, 386, &pairs[..pairs.len().min(4)].concat());
        put(&mut header, 483, &octal(number("real", 0).try_into().unwrap()));
        let rest = pairs.get(4..).unwrap_or(&[]);
        header[482] = u8::from(!rest.is_empty());
        let blocks: Vec<&[Vec<u8>]> = rest.chunks(21).collect();
        for (i, pairs) in blocks.iter().enumerate() {
            let mut block = [0; 512];
            put(&mut block, 0, &pairs.concat());
            block[504] = u8::from(i + 1 < blocks.len());
            more.extend(block);
        }
    }
    seal(&mut header);
    if text("sum") == Some("bad") {
        header[148] ^= 1;
    }
    out.extend(header);
    out.extend(more);
    padded(out, &data);
}

/// A record of an extended header.
pub(crate) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = [b" ", key, b"=", value, b"\n"].concat();
    let length = (1..).find(|n: &usize| n.to_string().len() + body.len() == *n).unwrap();
    [length.to_string().as_bytes(), &body].concat()
}

fn extension(out: &mut Vec<u8>, flag: u8, data: &[u8]) {
    let mut header = [0; 512];
    put(&mut header, 0, b"extension");
    put(&mut header, 124, format!("{:011o}", data.len()).as_bytes());
    header[156] = flag;
    put(&mut header, 257, if flag == b'L' || flag == b'K' { b"ustar  \0" } else { b"ustar\x0000" });
    seal(&mut header);
    out.extend(header);
    padded(out, data);
}

fn seal(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    put(header, 148, format!("{sum:06o}\0").as_bytes());
}

fn put(header: &mut [u8; 512], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

fn padded(out: &mut Vec<u8>, data: &[u8]) {
    out.extend(data);
    out.resize(out.len().next_multiple_of(512), 0);
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let (code, after) = rest.split_first().unwrap();
        rest = after;
        match code {
            b's' => out.push(b' '),
            b'n' => out.push(b'\n'),
            b'0' => out.push(0),
            b'x' => {
                let hex = std::str::from_utf8(&rest[..2]).unwrap();
                out.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &rest[2..];
            }
            other => panic!("unknown escape {other}"),
        }
    }
    out
}
