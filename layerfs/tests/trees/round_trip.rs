//! Trees become tars and trees again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::BufReader;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use layerfs::{ApplyOptions, Error, IdMode, Root, apply_layer, write_layer};
use proptest::prelude::*;

use crate::archive::build;
use crate::cases::chain;
use crate::conformance::{names, tar_of, unpack};
use crate::listing::{Detail, list};
use crate::scratch::Scratch;

/// Something in a random tree.
#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>),
    Dir,
    Symlink(String),
    Fifo,
    Device(u32, u32),
    Whiteout,
}

#[derive(Debug, Clone)]
struct Attributes {
    mode: u32,
    owner: (u32, u32),
    mtime: i64,
    xattr: Option<Vec<u8>>,
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-d]",
        2 => "[a-z.-]{1,12}".prop_filter("a plain name", |n| n != "." && n != ".." && !n.starts_with(".wh.")),
        1 => "[a-zé ]{60,130}".prop_filter("fits", |n| n.len() <= 255),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..1500).prop_map(Node::File),
        4 => Just(Node::Dir),
        1 => "[a-z/.é]{1,160}".prop_map(Node::Symlink),
        1 => Just(Node::Fifo),
        1 => (1u32..300, 0u32..70000).prop_map(|(a, b)| Node::Device(a, b)),
        1 => Just(Node::Whiteout),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (
        0u32..0o10000,
        prop_oneof![Just((0, 0)), (0u32..70000, 0u32..4_000_000_000)],
        prop_oneof![Just(0i64), 0i64..4_000_000_000, -5000i64..0, Just(12_000_000_000)],
        prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
    )
        .prop_map(|(mode, owner, mtime, xattr)| Attributes { mode, owner, mtime, xattr })
}

/// The description of an archive with these entries, directories before their content.
fn describe(nodes: &BTreeMap<Vec<String>, (Node, Attributes)>) -> String {
    let escape = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut out, b| {
            write!(out, "\\x{b:02x}").unwrap();
            out
        })
    };
    let mut text = String::new();
    for (path, (node, attributes)) in nodes {
        let whole = path.join("/");
        let (kind, more) = match node {
            Node::File(data) => ("file", format!("data={}", escape(data))),
            Node::Dir => ("dir", String::new()),
            Node::Symlink(to) => ("symlink", format!("pax.linkpath={}", escape(to.as_bytes()))),
            Node::Fifo => ("fifo", String::new()),
            Node::Device(major, minor) => ("char", format!("dev={major}:{minor}")),
            Node::Whiteout => {
                let mut path = path.clone();
                let last = path.last_mut().unwrap();
                *last = format!(".wh.{last}");
                let name = escape(path.join("/").as_bytes());
                writeln!(text, "file x pax.path={name}").unwrap();
                continue;
            }
        };
        let Attributes { mode, owner: (uid, gid), mtime, xattr } = attributes;
        write!(
            text,
            "{kind} x pax.path={} mode={mode:o} pax.uid={uid} pax.gid={gid} pax.mtime={mtime} {more}",
            escape(whole.as_bytes())
        )
        .unwrap();
        if let (Some(value), Node::File(_) | Node::Dir) = (xattr, node) {
            write!(text, " pax.SCHILY.xattr.user.k={}", escape(value)).unwrap();
        }
        text.push('\n');
    }
    text
}

fn tree() -> impl Strategy<Value = BTreeMap<Vec<String>, (Node, Attributes)>> {
    prop::collection::vec((prop::collection::vec(name(), 1..4), node(), attributes()), 1..25)
        .prop_map(|entries| {
            let mut nodes: BTreeMap<Vec<String>, (Node, Attributes)> = BTreeMap::new();
            for (path, node, attributes) in entries {
                // Only below directories, whether the archive names them or not.
                let below_other = (1..path.len()).any(|n| {
                    nodes.get(&path[..n]).is_some_and(|(node, _)| !matches!(node, Node::Dir))
                });
                let above =
                    nodes.keys().any(|known| known.len() > path.len() && known.starts_with(&path));
                if !below_other && (!above || matches!(node, Node::Dir)) {
                    nodes.insert(path, (node, attributes));
                }
            }
            nodes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// A layer's tar, unpacked, is the same layer with the same tar, also as other programs
    /// read it.
    #[test]
    fn a_tree_survives_its_tar(nodes in tree()) {
        let scratch = Scratch::new();
        let first = scratch.layer("first", &build(&describe(&nodes)));
        let tar = tar_of(&first);
        let second = scratch.layer("second", &tar);
        prop_assert_eq!(list(&first.tree, Detail::Layer), list(&second.tree, Detail::Layer));
        prop_assert_eq!(&tar_of(&second), &tar);
        let read = names(&tar);
        let mut sorted = read.clone();
        sorted.sort_by(|a, b| a.trim_end_matches('/').split('/').cmp(b.trim_end_matches('/').split('/')));
        prop_assert_eq!(read, sorted);
    }

    /// Whatever bytes come, unpacking ends without a panic, and inside its root.
    #[test]
    fn damaged_archives_end_in_an_answer(
        nodes in tree(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        fix_sums in any::<bool>(),
    ) {
        let mut tar = build(&describe(&nodes));
        for (at, byte) in damage {
            let at = at.index(tar.len());
            tar[at] = byte;
        }
        if fix_sums {
            for block in tar.chunks_exact_mut(512) {
                if block[257..262] == *b"ustar" {
                    block[148..156].fill(b' ');
                    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
                    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
                }
            }
        }
        let scratch = Scratch::new();
        let layer = scratch.dir("in/..".trim_end_matches("/.."));
        let options = ApplyOptions { max_bytes: Some(1 << 30), ..ApplyOptions::default() };
        let _ = apply_layer(&mut &tar[..], &Root::open(&layer).unwrap(), &options);
        prop_assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}

#[test]
fn gnu_tar_reads_our_archives() {
    let scratch = Scratch::new();
    let long = "n".repeat(140);
    let text = format!(
        "dir a/ mtime=5\nfile a/f mtime=1 data=hello\nlink a/h to=a/f\nsymlink s gnu-name=a/{long} gnu-link={long}{long} mtime=2
        char c dev=1:3 mtime=3\nfifo p mtime=4\nfile big pax.uid=3000000000 mtime=6 data=0123456789 times=100000\nfile é mtime=7\n"
    );
    let layer = scratch.layer("layer", &build(&text));
    let (tar, theirs) = (scratch.path().join("tar"), scratch.dir("theirs"));
    std::fs::write(&tar, tar_of(&layer)).unwrap();
    let status =
        Command::new("tar").args(["-xpf"]).arg(&tar).arg("-C").arg(&theirs).status().unwrap();
    assert!(status.success());
    let no_root = |listing: String| listing.split_once('\n').unwrap().1.to_owned();
    assert_eq!(no_root(list(&layer.tree, Detail::Tree)), no_root(list(&theirs, Detail::Tree)));
}

#[test]
fn one_id_keeps_the_owners_that_it_cannot_give() {
    let scratch = Scratch::new();
    let text = "dir d/ uid=5 gid=6 mtime=1\nfile d/f uid=1000 gid=1000 mode=4444 data=x mtime=1\nfile root data=x mtime=1\n";
    let tar = build(text);
    let full = scratch.layer("full", &tar);
    let tree = scratch.dir("single");
    let root = Root::open(&tree).unwrap();
    let options = ApplyOptions { ids: IdMode::Single, ..ApplyOptions::default() };
    apply_layer(&mut &tar[..], &root, &options).unwrap();
    let listing = list(&tree, Detail::Tree);
    assert!(listing.contains("d 0755 0:0 1 d user.tierce.stat=\"5:6\""), "{listing}");
    assert!(listing.contains("f 4444 0:0 1 d/f \"x\" user.tierce.stat=\"1000:1000\""), "{listing}");
    let mut single = Vec::new();
    write_layer(&root, &mut single).unwrap();
    assert_eq!(single, tar_of(&full));
}

#[test]
fn limits_are_kept() {
    let scratch = Scratch::new();
    let tar = build("file a data=x times=600\nfile b data=x times=600\nfile c data=x");
    for (i, (max_entries, max_bytes, words)) in [
        (Some(2), None, "more than the allowed 2 entries"),
        (None, Some(1000), "more than the allowed 1000 bytes"),
    ]
    .into_iter()
    .enumerate()
    {
        let root = Root::open(&scratch.dir(&i.to_string())).unwrap();
        let options = ApplyOptions { max_entries, max_bytes, ..ApplyOptions::default() };
        let error = apply_layer(&mut &tar[..], &root, &options).unwrap_err();
        assert!(matches!(error, Error::Entry { .. }) && chain(&error).contains(words), "{error}");
    }
}

#[test]
fn a_long_extended_header_is_refused_and_not_read() {
    let scratch = Scratch::new();
    let value = vec![b'v'; 1024 * 1024];
    let mut tar = build("file a data=x");
    let mut with = build("global - pax.comment=x");
    with.truncate(0);
    let record = crate::archive::record(b"comment", &value);
    let mut header = tar[..512].to_vec();
    header[124..135].copy_from_slice(format!("{:011o}", record.len()).as_bytes());
    header[156] = b'x';
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    with.extend(&header);
    with.append(&mut tar);
    let root = Root::open(&scratch.dir("x")).unwrap();
    let error = apply_layer(&mut &with[..], &root, &ApplyOptions::default()).unwrap_err();
    assert!(chain(&error).contains("longer than 1 MiB"), "{}", chain(&error));
}

#[test]
fn what_is_read_is_no_further_than_needed() {
    // The caller digests the stream to its end, and so must be able to read what follows.
    struct Counted<'a>(&'a [u8], usize);
    impl std::io::Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            // One byte at a time: nothing depends on how the bytes come.
            let n = self.0.len().min(1).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            self.1 += n;
            Ok(n)
        }
    }
    let scratch = Scratch::new();
    let mut tar = build("dir d/ mtime=1\nfile d/f data=content times=200 mtime=1");
    let whole = scratch.layer("whole", &tar);
    let end = tar.len();
    tar.extend([0; 9000]);
    let tree = scratch.dir("pieces");
    let mut reader = BufReader::new(Counted(&tar, 0));
    apply_layer(&mut reader, &Root::open(&tree).unwrap(), &ApplyOptions::default()).unwrap();
    assert_eq!(reader.get_ref().1, end);
    assert_eq!(list(&tree, Detail::Layer), list(&whole.tree, Detail::Layer));
}

#[test]
fn names_are_bytes() {
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    unpack(&build("file \\xff\\xfe data=x mtime=1"), &tree);
    let names: Vec<_> = std::fs::read_dir(&tree).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names[0].as_bytes(), b"\xff\xfe");
}
