//! What is built again, and what is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use builder::Built;

use crate::common::{Said, World, describe, request};

struct Project {
    world: World,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Project {
        let project = Project { world: World::new() };
        fs::create_dir(project.context()).unwrap();
        files.iter().for_each(|(name, content)| project.write(name, content));
        project
    }

    fn context(&self) -> std::path::PathBuf {
        self.world.dir.path().join("context")
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.context().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn build(&self, dockerfile: &str) -> (Built, Said) {
        self.build_with(dockerfile, &[])
    }

    fn build_with(&self, dockerfile: &str, args: &[(&str, &str)]) -> (Built, Said) {
        let mut request = request(dockerfile, Some(&self.context()));
        request.build_args = args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (result, said) = self.world.build_and_listen(&request);
        (result.unwrap_or_else(|error| panic!("{}", describe(&error))), said)
    }
}

#[test]
fn an_unchanged_build_runs_nothing_and_makes_the_same_image() {
    let dockerfile = "FROM busybox\nCOPY . /app\nWORKDIR /app\nRUN echo hi > out\nCMD [\"sh\"]\n";
    let project = Project::new(&[("a", "1"), ("d/b", "2")]);
    let (first, said) = project.build(dockerfile);
    assert_eq!(said.started.len(), 3, "{said:?}");
    let (second, said) = project.build(dockerfile);
    assert_eq!(said.started, [""; 0]);
    assert_eq!(said.cached.len(), 4, "{said:?}");
    assert_eq!(first.config.digest(), second.config.digest());
}

#[test]
fn times_are_no_reason_and_content_and_modes_are() {
    let dockerfile = "FROM busybox\nCOPY . /app\n";
    let project = Project::new(&[("a", "1")]);
    project.build(dockerfile);
    let path = project.context().join("a");

    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(1000)).unwrap();
    assert_eq!(project.build(dockerfile).1.started, [""; 0]);

    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(project.build(dockerfile).1.started.len(), 1);

    project.write("a", "2");
    let (built, said) = project.build(dockerfile);
    assert_eq!(said.started.len(), 1);
    assert_eq!(project.world.read(&built, "/app/a"), "2");

    project.write("b", "");
    assert_eq!(project.build(dockerfile).1.started.len(), 1);
}

#[test]
fn a_file_with_the_same_size_and_time_and_other_content_is_another_file() {
    let dockerfile = "FROM busybox\nCOPY a /a\n";
    let project = Project::new(&[("a", "one")]);
    let path = project.context().join("a");
    let time = SystemTime::now() - Duration::from_secs(5000);
    let date = || fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    date();
    project.build(dockerfile);
    project.write("a", "two");
    date();
    let (built, _) = project.build(dockerfile);
    assert_eq!(project.world.read(&built, "/a"), "two");
}

#[test]
fn only_files_that_are_copied_matter() {
    let dockerfile = "FROM busybox\nCOPY used /used\n";
    let project = Project::new(&[("used", "1"), ("other", "1")]);
    project.build(dockerfile);
    project.write("other", "2");
    assert_eq!(project.build(dockerfile).1.started, [""; 0]);
}

#[test]
fn metadata_changes_no_layer_and_environment_does() {
    let project = Project::new(&[]);
    project.build("FROM busybox\nRUN true\nRUN echo\n");
    for line in ["LABEL a=b", "CMD x", "EXPOSE 80", "ENTRYPOINT [\"x\"]", "VOLUME /v"] {
        let (_, said) = project.build(&format!("FROM busybox\nRUN true\n{line}\nRUN echo\n"));
        assert_eq!(said.started, [""; 0], "{line}");
    }
    let (_, said) = project.build("FROM busybox\nRUN true\nENV A=b\nRUN echo\n");
    assert_eq!(said.started.len(), 1);
}

#[test]
fn an_argument_matters_from_where_it_is_declared() {
    let dockerfile = "FROM busybox\nRUN true\nARG A\nCOPY a /a\nRUN echo\n";
    let project = Project::new(&[("a", "1")]);
    project.build_with(dockerfile, &[("A", "1")]);
    assert_eq!(project.build_with(dockerfile, &[("A", "1")]).1.started, [""; 0]);
    let started = project.build_with(dockerfile, &[("A", "2")]).1.started;
    assert_eq!(started, ["[4/4] RUN echo"]);
    // A proxy differs from place to place and is no part of any key.
    let proxied = [("A", "2"), ("http_proxy", "http://p")];
    assert_eq!(project.build_with(dockerfile, &proxied).1.started, [""; 0]);
}

#[test]
fn a_stage_that_made_the_same_files_again_changes_nothing_after_it() {
    let dockerfile = |echo: &str| {
        format!(
            "FROM busybox AS tool\nRUN echo {echo}; echo same > /out\n\
             FROM busybox\nCOPY --from=tool /out /out\nRUN cat /out\n"
        )
    };
    let project = Project::new(&[]);
    project.build(&dockerfile("1"));
    let (_, said) = project.build(&dockerfile("2"));
    assert_eq!(said.started, ["[tool 2/2] RUN echo 2; echo same > /out"]);
}

#[test]
fn no_cache_runs_everything_and_keeps_the_results() {
    let dockerfile = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /a\n";
    let project = Project::new(&[]);
    let (first, _) = project.build(dockerfile);
    let mut again = request(dockerfile, None);
    again.no_cache = true;
    let second = project.world.build(&again).unwrap();
    assert_ne!(first.config.rootfs, second.config.rootfs);
    let (third, said) = project.build(dockerfile);
    assert_eq!(said.started, [""; 0]);
    assert_eq!(third.config.rootfs, second.config.rootfs);
}

#[test]
fn a_mounted_tree_matters_by_its_content() {
    let dockerfile = |echo: &str| {
        format!(
            "FROM busybox AS tool\nRUN echo {echo}; mkdir /d; echo same > /d/out\n\
             FROM busybox\nRUN --mount=target=/c,source=used cat /c > /a\n\
             RUN --mount=from=tool,target=/t,source=/d,rw cat /t/out > /b\n"
        )
    };
    let project = Project::new(&[("used", "1"), ("other", "1")]);
    project.build(&dockerfile("1"));
    project.write("other", "2");
    assert_eq!(project.build(&dockerfile("1")).1.started, [""; 0]);

    let (_, said) = project.build(&dockerfile("2"));
    assert_eq!(said.started.len(), 1, "{said:?}");

    project.write("used", "2");
    let (built, said) = project.build(&dockerfile("2"));
    assert_eq!(project.world.read(&built, "/a"), "2");
    assert_eq!(said.started.len(), 3, "{said:?}");
}

#[test]
fn what_a_cache_holds_and_is_called_does_not_matter() {
    let dockerfile = |options: &str, tail: &str| {
        format!(
            "FROM busybox\nRUN --mount=type=cache,target=/k{options} date +%N >> /k/log; echo 1 > /a\n\
             {tail}"
        )
    };
    let project = Project::new(&[]);
    project.build(&dockerfile("", ""));
    let read = "RUN --mount=type=cache,target=/k wc -l < /k/log > /lines\n";
    let (built, said) = project.build(&dockerfile("", read));
    assert_eq!(said.started.len(), 1);
    assert_eq!(project.world.read(&built, "/lines"), "1\n");
    for options in [",id=x", ",sharing=locked", ",mode=0700"] {
        assert_eq!(project.build(&dockerfile(options, "")).1.started, [""; 0], "{options}");
    }
    assert_eq!(project.build(&dockerfile(",ro", "")).1.started.len(), 1);
}

#[test]
fn a_namespace_keeps_caches_apart() {
    let project = Project::new(&[]);
    let dockerfile =
        "FROM busybox\nARG N\nRUN --mount=type=cache,target=/k ls /k > /seen; touch /k/$N\n";
    let seen = |n: &str, namespace: &str| {
        let args = [("N", n), ("BUILDKIT_CACHE_MOUNT_NS", namespace)];
        let (built, _) = project.build_with(dockerfile, &args);
        project.world.read(&built, "/seen")
    };
    assert_eq!(seen("1", "a"), "");
    assert_eq!(seen("2", "b"), "");
    assert_eq!(seen("3", "a"), "1\n");
}

#[test]
fn files_that_are_excluded_do_not_matter() {
    let dockerfile = "FROM busybox AS files\nCOPY . /all\n\
         FROM busybox\nCOPY --exclude=log --exclude=**/*.tmp . /a\n\
         COPY --from=files --exclude=*.tmp --exclude=log /all /b\n";
    let project = Project::new(&[("used", "1"), ("log/a", "1"), ("d/x.tmp", "1")]);
    project.build(dockerfile);
    project.write("log/b", "2");
    let (_, said) = project.build(dockerfile);
    assert_eq!(said.started, ["[files 2/2] COPY . /all"]);
    let other = dockerfile.replace("--exclude=log /all", "/all");
    assert_eq!(project.build(&other).1.started.len(), 1);
}

#[test]
fn a_linked_copy_does_not_depend_on_what_is_below() {
    let dockerfile = |echo: &str| {
        format!("FROM busybox\nRUN echo {echo} > /below\nCOPY --link a /d/a\nCOPY --link a /d/b\n")
    };
    let project = Project::new(&[("a", "1")]);
    let (first, _) = project.build(&dockerfile("1"));
    let (second, said) = project.build(&dockerfile("2"));
    assert_eq!(said.started, ["[2/4] RUN echo 2 > /below"]);
    let layers = |built: &Built| built.config.rootfs.diff_ids.clone();
    let (first, second) = (layers(&first), layers(&second));
    let top = first.len() - 2;
    assert_eq!(first[top..], second[top..]);
    assert_ne!(first[top - 1], second[top - 1]);
}

#[test]
fn only_what_parents_takes_matters() {
    let dockerfile = "FROM busybox\nCOPY --parents packages/*/package.json /app/\n";
    let project = Project::new(&[("packages/a/package.json", "1"), ("packages/a/main.js", "1")]);
    project.build(dockerfile);
    project.write("packages/a/main.js", "2");
    assert_eq!(project.build(dockerfile).1.started, [""; 0]);
    project.write("packages/b/package.json", "3");
    assert_eq!(project.build(dockerfile).1.started.len(), 1);
}
