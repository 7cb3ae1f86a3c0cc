//! The same in a user namespace that maps a single id, as an ordinary user without subordinate
//! ids has it.

use std::fs;
use std::path::Path;
use std::process::Command;

use layerfs::{
    ApplyOptions, Committed, DirectoryTimes, Durability, IdMode, Root, Snapshotter, apply_layer,
};

use crate::archive::build;
use crate::cases::{chain, through};
use crate::conformance::{names, shown, tar_of};
use crate::scratch::Scratch;

const BASE: &str = "
dir ./ mode=755 mtime=1000
char console mode=600 gid=5 dev=5:1 mtime=1000
dir home/ mtime=1000
dir home/me/ mode=700 uid=1000 gid=1000 mtime=1000
file home/me/profile uid=1000 gid=1000 mode=400 mtime=1000 data=profile
file home/me/setuid uid=1000 mode=4755 mtime=1000 data=x
file root mtime=1000 data=root
";

#[test]
fn a_namespace_with_one_id() {
    let inner = "rootless::inside_the_namespace";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", inner, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
#[ignore = "runs inside the namespace that the test above makes"]
fn inside_the_namespace() {
    let scratch = Scratch::new();
    let tar = build(BASE);
    let base = Committed { tree: scratch.dir("base") };
    let options = ApplyOptions { ids: IdMode::Single, ..ApplyOptions::default() };
    apply_layer(&mut &tar[..], &Root::open(&base.tree).unwrap(), &options).unwrap();
    let full = Root::open(&scratch.dir("full")).unwrap();
    let error = apply_layer(&mut &tar[..], &full, &ApplyOptions::default()).unwrap_err();
    assert!(chain(&error).contains("`home/me/`: it belongs to 1000:1000"), "{}", chain(&error));
    // The layer's tar has the owners and the device that the directory could not have. It is the
    // very archive, since that was in order.
    assert_eq!(tar_of(&base), tar);

    let overlay = scratch.overlay();
    let layers = [base];
    let active = overlay.prepare(&layers, scratch.place("p"), Durability::Volatile).unwrap();
    let tree = through(&active.root);
    let copied_up = |name: &str| {
        drop(fs::OpenOptions::new().append(true).open(tree.join(name)).unwrap());
    };
    copied_up("home/me/profile");
    copied_up("root");
    assert_eq!(shown(&overlay.changes(&active).unwrap()), [""; 0]);

    fs::write(tree.join("home/me/new"), "x").unwrap();
    fs::write(tree.join("home/me/profile"), "other").unwrap();
    fs::remove_file(tree.join("home/me/setuid")).unwrap();
    let expected =
        ["C /home", "C /home/me", "A /home/me/new", "C /home/me/profile", "D /home/me/setuid"];
    let (layer, settled) = overlay.commit(active, DirectoryTimes::Restore, None).unwrap();
    assert_eq!(shown(&settled.changes), expected);
    let tar = tar_of(&layer);
    let written = ["home/", "home/me/", "home/me/.wh.setuid", "home/me/new", "home/me/profile"];
    assert_eq!(names(&tar), written);
    assert_eq!(owners(&tar), [(0, 0), (1000, 1000), (0, 0), (0, 0), (1000, 1000)]);

    let again = scratch.dir("again");
    apply_layer(&mut &tar[..], &Root::open(&again).unwrap(), &options).unwrap();
    let view =
        overlay.view(&[layers[0].clone(), Committed { tree: again }], &|| scratch.fresh()).unwrap();
    let seen = through(&view.root);
    assert_eq!(fs::read(seen.join("home/me/profile")).unwrap(), b"other");
    assert!(!Path::new(&seen.join("home/me/setuid")).exists());
}

fn owners(tar: &[u8]) -> Vec<(u64, u64)> {
    use tar_core::parse::{Limits, ParseEvent, Parser};
    let (mut parser, mut owners, mut at) = (Parser::new(Limits::default()), Vec::new(), 0);
    while let ParseEvent::Entry { consumed, entry } = parser.parse(&tar[at..]).unwrap() {
        owners.push((entry.uid, entry.gid));
        at += consumed + usize::try_from(entry.padded_size()).unwrap();
    }
    owners
}
