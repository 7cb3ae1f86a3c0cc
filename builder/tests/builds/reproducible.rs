//! The same sources make the same layers.

use std::fs;

use crate::common::{World, describe, request};

const DOCKERFILE: &str = "FROM busybox\n\
    WORKDIR /work/sub\n\
    COPY . .\n\
    COPY a /some/new/place/\n\
    COPY <<EOF /doc/x\ntext\nEOF\n\
    ADD a.tar /unpacked/here\n";

#[test]
fn a_second_build_without_cache_makes_the_same_layers() {
    let world = World::new();
    let context = world.dir.path().join("context");
    fs::create_dir_all(context.join("d")).unwrap();
    fs::write(context.join("a"), "a").unwrap();
    fs::write(context.join("d/b"), "b").unwrap();
    let tar = std::process::Command::new("tar")
        .arg("-cf")
        .arg(context.join("a.tar"))
        .arg("-C")
        .arg(&context)
        .args(["a", "d"])
        .status()
        .unwrap();
    assert!(tar.success());
    let mut request = request(DOCKERFILE, Some(&context));
    request.no_cache = true;
    let build = |request| world.build(request).unwrap_or_else(|e| panic!("{}", describe(&e)));
    let first = build(&request);
    // Whole seconds are what a tar holds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = build(&request);
    assert_eq!(first.config.rootfs, second.config.rootfs);
}

#[test]
fn a_new_checkout_with_other_times_makes_the_same_layers() {
    let world = World::new();
    let context = world.dir.path().join("context");
    let image = |age: u64| {
        fs::create_dir_all(context.join("d")).unwrap();
        fs::write(context.join("d/b"), "b").unwrap();
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        for path in ["d/b", "d", ""] {
            fs::File::open(context.join(path)).unwrap().set_modified(time).unwrap();
        }
        let mut request = request("FROM busybox\nCOPY . /x/y/\nWORKDIR /z\n", Some(&context));
        request.no_cache = true;
        let (built, said) = world.build_and_listen(&request);
        let built = built.unwrap_or_else(|e| panic!("{}", describe(&e)));
        fs::remove_dir_all(&context).unwrap();
        // Both steps ran all the same.
        assert_eq!(said.started.len(), 2, "{said:?}");
        built.config.rootfs.clone()
    };
    assert_eq!(image(10), image(100_000));
}

#[test]
fn with_an_epoch_the_times_of_the_checkout_do_not_show() {
    let layers = |age: u64| {
        let world = World::new();
        let context = world.dir.path().join("context");
        fs::create_dir_all(context.join("d")).unwrap();
        fs::write(context.join("d/b"), "b").unwrap();
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        for path in ["d/b", "d", ""] {
            fs::File::open(context.join(path)).unwrap().set_modified(time).unwrap();
        }
        let mut request =
            request("FROM busybox\nCOPY . /x/y/\nWORKDIR /z\nRUN echo a > b\n", Some(&context));
        request.build_args.insert("SOURCE_DATE_EPOCH".into(), "1000000000".into());
        let built = world.build(&request).unwrap_or_else(|e| panic!("{}", describe(&e)));
        assert_eq!(built.config.created.as_deref(), Some("2001-09-09T01:46:40Z"));
        // The base is another one in every world.
        let all = &built.config.rootfs.diff_ids;
        all[all.len() - 3..].to_vec()
    };
    let first = layers(10);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(first, layers(100_000));
}
