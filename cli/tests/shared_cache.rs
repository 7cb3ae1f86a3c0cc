//! `tierce build --cache-to` on one machine, `--cache-from` on another.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;
use std::path::PathBuf;

use testutil::{EmbeddedRegistry, Output, Tierce, busybox};

const DOCKERFILE: &str = "\
ARG BASE
FROM $BASE AS tools
COPY source /source
RUN sed s/source/tool/ /source > /tool && echo compiled > /kept-in-its-stage

FROM $BASE
COPY --from=tools /tool /bin/tool
RUN echo configured > /etc/tool && cat /bin/tool >> /etc/tool
CMD cat /etc/tool
";

/// Two machines, and a registry with their base image.
struct Machines {
    here: Tierce,
    there: Tierce,
    registry: EmbeddedRegistry,
}

impl Machines {
    fn new() -> Machines {
        let new = || Tierce::new(env!("CARGO_BIN_EXE_tierce"));
        let (here, there) = (new(), new());
        busybox(&here);
        let registry = EmbeddedRegistry::in_memory(&here);
        here.ok(["copy", "-q", "busybox", &format!("docker://{}/base:1", registry.address)]);
        here.ok(["rmi", "-f", "busybox"]);
        Machines { here, there, registry }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address)
    }

    fn build(&self, on: &Tierce, dockerfile: &str, more: &[&str]) -> Output {
        let context = on.scratch().join("context");
        fs::create_dir_all(&context).unwrap();
        fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        fs::write(context.join("source"), "source\n").unwrap();
        let base = format!("BASE={}", self.name("base:1"));
        let args = ["build", "--progress=plain", "-t", "app", "--build-arg", &base];
        let output = on.run([&args[..], more, &[context.to_str().unwrap()]].concat());
        assert_eq!(output.code, 0, "{output:?}");
        output
    }
}

/// How many steps were found, and how many ran.
fn steps(output: &Output) -> (usize, usize) {
    let ran =
        output.stderr.lines().filter(|line| line.contains("] RUN") || line.contains("] COPY"));
    let found = output.stderr.matches("CACHED").count();
    (ran.count(), found)
}

#[test]
fn a_build_takes_over_what_another_machine_made() {
    let machines = Machines::new();
    let (here, there) = (&machines.here, &machines.there);
    let cache = machines.name("cache:main");
    let to = format!("type=registry,ref={cache},mode=max");
    machines.build(here, DOCKERFILE, &["--cache-to", &to]);
    let id = here.ok(["images", "-q", "--no-trunc", "app"]);
    assert_eq!(here.ok(["images", "-aq"]).lines().count(), 1, "the cache is no image of the store");

    let nothing_known =
        machines.build(there, DOCKERFILE, &["--cache-from", &machines.name("none")]);
    assert!(nothing_known.stderr.contains("nothing taken over from"), "{nothing_known:?}");
    let fresh = there.copied();
    fresh.ok(["rmi", "-f", "app"]);
    fresh.ok(["prune", "-af"]);
    let output = machines.build(&fresh, DOCKERFILE, &["--cache-from", &cache]);
    let (all, found) = steps(&output);
    assert_eq!((all, found), (4, 4), "every step was found: {}", output.stderr);
    assert!(!output.stderr.contains("importing cache"), "no layer was fetched: {}", output.stderr);
    assert_eq!(fresh.ok(["images", "-q", "--no-trunc", "app"]), id, "with the same times");
    assert_eq!(fresh.ok(["run", "--rm", "app"]), "configured\ntool\n");

    // A changed end fetches what it stands on.
    fresh.ok(["rmi", "-f", "app"]);
    fresh.ok(["prune", "-af"]);
    let changed = format!("{DOCKERFILE}RUN cat /etc/tool > /copy && test -s /bin/tool\n");
    let output = machines.build(&fresh, &changed, &["--cache-from", &cache]);
    assert!(output.stderr.contains("importing cache from"), "{}", output.stderr);
    assert_eq!(fresh.ok(["run", "--rm", "app", "cat", "/copy"]), "configured\ntool\n");

    // What was taken over is passed on, fetched or not; without other stages if so wished.
    let (second, target) = (machines.name("cache:second"), machines.name("app:1"));
    let to = format!("type=registry,ref={second}");
    machines.build(&fresh, &changed, &["--cache-from", &cache, "--cache-to", &to]);
    fresh.ok(["push", "-q", "app", &target]);
    let layers = |name: &str| {
        let manifest = fresh.ok(["registry", "manifest", name]);
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        manifest["layers"].as_array().unwrap().len()
    };
    assert_eq!((layers(&cache), layers(&second)), (4, 3));
}

#[test]
fn a_cache_may_be_a_directory() {
    let machines = Machines::new();
    let directory: PathBuf = machines.here.scratch().join("cache");
    let to = format!("type=local,dest={},mode=max", directory.display());
    machines.build(&machines.here, DOCKERFILE, &["--cache-to", &to]);
    let from = format!("type=local,src={}", directory.display());
    let output = machines.build(&machines.there, DOCKERFILE, &["--cache-from", &from]);
    let (all, found) = steps(&output);
    assert_eq!(found, all, "{}", output.stderr);
    // It can be taken away after the build.
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(machines.there.ok(["run", "--rm", "app"]), "configured\ntool\n");
    machines.there.ok(["push", "-q", "app", &machines.name("app:1")]);
}
