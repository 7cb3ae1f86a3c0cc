//! Several processes at work in one store at once.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use testutil::{EmbeddedRegistry, Tierce};

use crate::common::{
    Template, assert_nothing_runs, assert_prune_leaves_nothing, end, id_and_output, start, tierce,
    words,
};

/// A template beside which there is a second build on the same base, and a registry.
struct Bench {
    template: Template,
    registry: EmbeddedRegistry,
}

impl Bench {
    fn new() -> Bench {
        let template = Template::new();
        let dockerfile = "FROM busybox\nCOPY Dockerfile /of\n\
                          RUN mkdir /made && for n in $(seq 200); do echo $n > /made/$n; done\n\
                          CMD ls /made | md5sum\n";
        template.tierce.scratch().write("second/Dockerfile", dockerfile);
        let registry = template.registry();
        // The layers of the pull are nowhere else.
        template.tierce.ok(["rmi", "big"]);
        template.tierce.ok(["prune", "--force"]);
        template.tierce.ok(["run", "--name", "box", "busybox", "touch", "/root/file"]);
        Bench { template, registry }
    }

    /// The commands, and the image that each leaves: two builds that share a base, one of them
    /// twice, a pull and a load of the same image, a commit.
    fn commands(&self) -> Vec<(Vec<String>, String)> {
        let (first, second) = (self.template.path("context"), self.template.path("second"));
        let big = format!("{}/big", self.registry.address);
        [
            (words(&["build", "--progress", "plain", "-t", "one", &first]), "one"),
            (words(&["build", "--progress", "plain", "-t", "same", &first]), "same"),
            (words(&["build", "--progress", "plain", "-t", "two", &second]), "two"),
            (words(&["pull", &big]), big.as_str()),
            (words(&["load", "-i", &self.template.path("big.tar")]), "big"),
            (words(&["commit", "-c", "CMD ls /root", "box", "boxed"]), "boxed"),
        ]
        .map(|(args, image)| (args, image.to_owned()))
        .to_vec()
    }

    /// What each command leaves when nothing else is going on, and how long all of them take.
    fn alone(&self) -> (BTreeMap<String, String>, Duration) {
        let store = self.template.tierce.copied();
        let began = Instant::now();
        let commands = self.commands();
        for (args, _) in &commands {
            let output = end(start(&store, args));
            assert_eq!(output.code, 0, "{output:#?}");
        }
        let whole = began.elapsed();
        let images = commands.into_iter().map(|(_, image)| image);
        (images.map(|image| (image.clone(), id_and_output(&store, &image))).collect(), whole)
    }

    fn start_all(&self, store: &Tierce) -> Vec<(Vec<String>, Child)> {
        let commands = self.commands().into_iter();
        commands.map(|(args, _)| (args.clone(), start(store, &args))).collect()
    }

    fn assert_all_are_there(&self, store: &Tierce, expected: &BTreeMap<String, String>) {
        for (image, outcome) in expected {
            assert_eq!(id_and_output(store, image), *outcome, "{image}");
        }
    }
}

#[test]
fn builds_pulls_and_prunes_do_not_hinder_each_other() {
    let bench = Bench::new();
    let (expected, _) = bench.alone();
    for _ in 0..3 {
        let store = bench.template.tierce.copied();
        let mut children = bench.start_all(&store);
        // Others look, sweep and run all the while.
        while children.iter_mut().any(|(_, child)| child.try_wait().unwrap().is_none()) {
            store.ok(["images"]);
            store.ok(["ps", "-a"]);
            store.ok(["run", "--rm", "busybox", "true"]);
        }
        for (args, child) in children {
            let output = end(child);
            assert_eq!(output.code, 0, "{args:?} {output:#?}");
        }
        bench.assert_all_are_there(&store, &expected);
        assert_nothing_runs(&store);
        assert_prune_leaves_nothing(&store);
    }
}

#[test]
fn a_store_is_made_by_whoever_comes_first() {
    let bench = Bench::new();
    let big = format!("{}/big", bench.registry.address);
    let archive = bench.template.path("big.tar");
    let expected = bench.alone().0.remove("big").unwrap();
    for _ in 0..5 {
        let store = tierce();
        let commands = [
            words(&["pull", &big]),
            words(&["pull", &big]),
            words(&["load", "-i", &archive]),
            words(&["images"]),
            words(&["prune", "--force"]),
            words(&["run", "--rm", &big]),
        ];
        let children = commands.each_ref().map(|args| start(&store, args));
        for (args, child) in commands.iter().zip(children) {
            let output = end(child);
            assert_eq!(output.code, 0, "{args:?} {output:#?}");
        }
        for image in [big.as_str(), "big"] {
            assert_eq!(id_and_output(&store, image), expected);
        }
        assert_prune_leaves_nothing(&store);
    }
}

#[test]
fn a_collection_takes_nothing_from_under_a_build() {
    let bench = Bench::new();
    let (expected, _) = bench.alone();
    let store = bench.template.tierce.copied();
    // The commit's container would go with a collection.
    let mut children: Vec<_> = bench.start_all(&store);
    children.pop();
    while children.iter_mut().any(|(_, child)| child.try_wait().unwrap().is_none()) {
        store.ok(["prune", "--force"]);
    }
    for (args, child) in children {
        let output = end(child);
        assert_eq!(output.code, 0, "{args:?} {output:#?}");
    }
    for (image, outcome) in expected.iter().filter(|(image, _)| *image != "boxed") {
        assert_eq!(id_and_output(&store, image), *outcome, "{image}");
    }
    assert_prune_leaves_nothing(&store);
}

#[test]
fn killed_together_or_one_by_one_they_all_come_to_their_end() {
    let bench = Bench::new();
    let (expected, whole) = bench.alone();
    let kills = 16;
    for kill in 0..kills {
        let store = bench.template.tierce.copied();
        let mut children = bench.start_all(&store);
        std::thread::sleep(whole * kill / kills);
        // One of them in turn; every fourth time all.
        let victim = kill as usize % children.len();
        for (number, (_, child)) in children.iter_mut().enumerate() {
            if number == victim || kill % 4 == 3 {
                child.kill().unwrap();
            }
        }
        for (number, (args, child)) in children.into_iter().enumerate() {
            let output = end(child);
            let spared = number != victim && kill % 4 != 3;
            assert!(output.code == 0 || !spared, "{args:?} beside a kill: {output:#?}");
        }
        // Again, at once as well.
        for (args, child) in bench.start_all(&store) {
            let output = end(child);
            assert_eq!(output.code, 0, "{args:?} {output:#?}");
        }
        bench.assert_all_are_there(&store, &expected);
        assert_nothing_runs(&store);
        assert_prune_leaves_nothing(&store);
    }
}
