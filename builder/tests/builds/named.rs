//! Named contexts in place of stages and images.

use std::fs;

use builder::{BuildRequest, ContextDirectory, NamedContext, NamedContexts, Origin};

use crate::common::{World, describe, request};

/// A build of `dockerfile` with the directory `named` of the world as the context `name`.
fn with_directory(world: &World, name: &str, dockerfile: &str) -> BuildRequest {
    let named = world.dir.path().join("named");
    fs::create_dir_all(named.join("sub")).unwrap();
    fs::write(named.join("a"), "a\n").unwrap();
    fs::write(named.join("left-out"), "x\n").unwrap();
    fs::write(named.join("sub/b"), "b\n").unwrap();
    let directory = ContextDirectory::local(&named, "left-out\n");
    with(name, NamedContext::Directory(directory), dockerfile)
}

fn with(name: &str, context: NamedContext, dockerfile: &str) -> BuildRequest {
    let mut contexts = NamedContexts::default();
    contexts.insert(name, context).unwrap();
    BuildRequest { contexts, ..request(dockerfile, None) }
}

fn tree(world: &World, request: &BuildRequest) -> Vec<String> {
    let built = world.build(request).unwrap_or_else(|error| panic!("{}", describe(&error)));
    let paths = world.tree(&built);
    let path =
        |line: String| Some(line.split_whitespace().nth(2)?.trim_start_matches('/').to_owned());
    paths.into_iter().filter_map(path).collect()
}

#[test]
fn a_directory_is_copied_from_by_its_name_less_what_its_ignore_file_leaves_out() {
    let world = World::empty();
    let request = with_directory(&world, "files", "FROM scratch\nCOPY --from=files . /d/\n");
    assert_eq!(tree(&world, &request), ["d", "d/a", "d/sub", "d/sub/b"]);
}

#[test]
fn a_stage_of_a_contexts_name_is_the_context_and_does_nothing() {
    let world = World::new();
    let dockerfile = "FROM no.example/no AS one\nRUN false\nFROM one\nCOPY --from=0 a /zero\n\
                      COPY --from=ONE sub /one/\n";
    let request = with_directory(&world, "one", dockerfile);
    assert_eq!(tree(&world, &request), ["a", "one", "one/b", "sub", "sub/b", "zero"]);
    let target = BuildRequest { target: Some("one".into()), ..request };
    assert_eq!(tree(&world, &target), ["a", "sub", "sub/b"]);
}

#[test]
fn an_image_is_another_image_where_a_context_says_so() {
    let world = World::new();
    let dockerfile = "FROM nowhere.example/base:1\nRUN echo x > /made\n";
    let image = NamedContext::Image("busybox".into());
    let request = with("nowhere.example/base:1", image, dockerfile);
    assert!(tree(&world, &request).contains(&"made".to_owned()));
}

#[test]
fn a_run_sees_a_directory_without_changing_it() {
    let world = World::new();
    let dockerfile = "FROM busybox\n\
         RUN --mount=from=files,target=/in,rw cat /in/sub/b > /seen && rm /in/a && ! test -e /in/left-out\n";
    let request = with_directory(&world, "files", dockerfile);
    assert!(tree(&world, &request).contains(&"seen".to_owned()));
    assert!(world.dir.path().join("named/a").exists());
}

#[test]
fn only_what_is_used_of_a_directory_decides_about_the_cache() {
    let world = World::empty();
    let request = with_directory(&world, "files", "FROM scratch\nCOPY --from=files a /\n");
    let first = world.build(&request).unwrap();
    fs::write(world.dir.path().join("named/sub/b"), "changed\n").unwrap();
    let second = world.build(&request).unwrap();
    assert_eq!(first.config.digest(), second.config.digest());
    fs::write(world.dir.path().join("named/a"), "changed\n").unwrap();
    let third = world.build(&request).unwrap();
    assert_ne!(first.config.digest(), third.config.digest());
}

#[test]
fn fetched_files_keep_their_owners_and_local_ones_are_roots() {
    let world = World::empty();
    let path = world.dir.path().join("context");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a"), "a\n").unwrap();
    std::os::unix::fs::chown(path.join("a"), Some(7), Some(8)).unwrap();
    for (origin, owner) in
        [(Origin::Fetched, (7, 8)), (Origin::Local { ignore: String::new() }, (0, 0))]
    {
        let context = Some(ContextDirectory { path: path.clone(), origin });
        let request = BuildRequest { context, ..request("FROM scratch\nCOPY a /\n", None) };
        let built = world.build(&request).unwrap();
        let metadata = world.stat(&built, "a");
        assert_eq!((metadata.uid, metadata.gid), owner);
    }
}
