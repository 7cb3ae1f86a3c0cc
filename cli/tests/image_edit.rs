//! `tierce image append`, `mutate`, `rebase`, `annotate`: images changed where they are, without
//! being unpacked or built again.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use testutil::{EmbeddedRegistry, Tierce, busybox, run_ok};

/// A registry with `base:1`, a busybox.
fn registry() -> (Tierce, EmbeddedRegistry) {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let registry = EmbeddedRegistry::in_memory(&tierce);
    tierce.ok(["copy", "-q", "busybox", &format!("docker://{}/base:1", registry.address)]);
    (tierce, registry)
}

/// A tar with one file.
fn tar(tierce: &Tierce, archive: &str, file: &str, content: &str) -> PathBuf {
    tierce.scratch().write(file, content);
    let path = tierce.scratch().join(archive);
    let mut command = Command::new("tar");
    command.arg("-C").arg(tierce.scratch().path()).arg("-caf").arg(&path).arg(file);
    run_ok(&mut command, [] as [&str; 0]);
    path
}

fn json(tierce: &Tierce, what: &str, name: &str) -> Value {
    serde_json::from_str(&tierce.ok(["registry", what, name])).unwrap()
}

fn edit(tierce: &Tierce, args: &[&str]) -> String {
    tierce.ok([&["image"], args].concat()).trim().to_owned()
}

#[test]
fn layers_are_put_on_top_and_the_rest_is_mounted() {
    let (tierce, registry) = registry();
    let name = |name: &str| format!("{}/{name}", registry.address);
    let plain = tar(&tierce, "plain.tar", "said", "hello\n");
    let zipped = tar(&tierce, "zipped.tar.gz", "more", "world\n");
    let files = format!("{},{}", plain.display(), zipped.display());
    let (base, new) = (name("base:1"), name("app:1"));
    let args = ["image", "append", "-f", &files, "-b", &base, "-t", &new];
    let output = tierce.run(args);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(output.stderr.matches(": copied").count(), 3, "{}", output.stderr);
    assert_eq!(tierce.ok(args), output.stdout, "the same again has the same digest");

    let (below, above) = (json(&tierce, "manifest", &base), json(&tierce, "manifest", &new));
    let (below, above) = (below["layers"].as_array().unwrap(), above["layers"].as_array().unwrap());
    assert_eq!(above.len(), below.len() + 2);
    assert!(above.starts_with(below));
    let sent = std::fs::metadata(&zipped).unwrap().len();
    assert_eq!(above.last().unwrap()["size"], sent, "what is compressed keeps its bytes");
    let config = json(&tierce, "config", &new);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), above.len());
    tierce.ok(["copy", "-q", &format!("docker://{new}"), "store:app"]);
    assert_eq!(tierce.ok(["run", "--rm", "app", "cat", "/said", "/more"]), "hello\nworld\n");

    let alone = name("alone:1");
    edit(&tierce, &["append", "-f", plain.to_str().unwrap(), "-t", &alone]);
    assert_eq!(json(&tierce, "manifest", &alone)["layers"].as_array().unwrap().len(), 1);
    let text = tierce.scratch().write("text", "no tar");
    let refused = tierce.run(["image", "append", "-f", text.to_str().unwrap(), "-t", &alone]);
    assert!(refused.code == 1 && refused.stderr.contains("it is no tar"), "{refused:?}");
}

#[test]
fn settings_are_changed() {
    let (tierce, registry) = registry();
    let name = |name: &str| format!("{}/{name}", registry.address);
    let (base, first, second) = (name("base:1"), name("app:1"), name("app:2"));
    edit(
        &tierce,
        &[
            "mutate",
            "--entrypoint",
            "/bin/sh,-c",
            "--cmd",
            "echo $A",
            "--env",
            "A=1=2",
            "-l",
            "x=1,y=2",
            "-u",
            "7:8",
            "-w",
            "/tmp",
            "--exposed-ports",
            "80,53/udp",
            "-a",
            "note=it",
            "-t",
            &first,
            &base,
        ],
    );
    let config = json(&tierce, "config", &first);
    let runtime = &config["config"];
    assert_eq!(runtime["Entrypoint"], serde_json::json!(["/bin/sh", "-c"]));
    assert_eq!(runtime["Cmd"], serde_json::json!(["echo $A"]));
    assert_eq!(runtime["Labels"], serde_json::json!({"x": "1", "y": "2"}));
    assert_eq!(runtime["ExposedPorts"], serde_json::json!({"80/tcp": {}, "53/udp": {}}));
    assert_eq!([&runtime["User"], &runtime["WorkingDir"]], ["7:8", "/tmp"]);
    assert_eq!(json(&tierce, "manifest", &first)["annotations"]["note"], "it");
    tierce.ok(["copy", "-q", &format!("docker://{first}"), "store:app"]);
    assert_eq!(tierce.ok(["run", "--rm", "app"]), "1=2\n");

    // A new entrypoint has no use for the old command; a variable is replaced.
    edit(
        &tierce,
        &[
            "mutate",
            "--set-entrypoint",
            "id",
            "--env",
            "A=3",
            "--set-platform",
            "linux/arm64",
            "-t",
            &second,
            &first,
        ],
    );
    let config = json(&tierce, "config", &second);
    assert_eq!(config["config"]["Cmd"], Value::Null);
    let env: Vec<&str> =
        config["config"]["Env"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert!(env.contains(&"A=3") && !env.contains(&"A=1=2"), "{env:?}");
    assert_eq!(config["architecture"], "arm64");
}

#[test]
fn without_a_tag_the_new_image_stands_by_digest_beside_the_old() {
    let (tierce, registry) = registry();
    let base = format!("{}/base:1", registry.address);
    let before = tierce.ok(["registry", "digest", &base]);
    let new = edit(&tierce, &["mutate", "--user", "9", &base]);
    assert!(new.starts_with(&format!("{}/base@sha256:", registry.address)), "{new}");
    assert_eq!(json(&tierce, "config", &new)["config"]["User"], "9");
    assert_eq!(tierce.ok(["registry", "digest", &base]), before);
    // What changes nothing is the same image.
    let same = edit(&tierce, &["mutate", &base]);
    assert!(same.ends_with(before.trim()), "{same} {before}");
}

#[test]
fn an_image_is_put_on_another_base() {
    let (tierce, registry) = registry();
    let name = |name: &str| format!("{}/{name}", registry.address);
    let below = tar(&tierce, "below.tar", "below", "new\n");
    let own = tar(&tierce, "own.tar", "own", "own\n");
    let (old, new, app) = (name("base:1"), name("other/base:2"), name("app:1"));
    edit(&tierce, &["append", "-f", below.to_str().unwrap(), "-b", &old, "-t", &new]);
    edit(&tierce, &["append", "-f", own.to_str().unwrap(), "-b", &old, "-t", &app]);
    let to = name("app:2");
    edit(&tierce, &["rebase", "--old_base", &old, "--new_base", &new, "-t", &to, &app]);
    tierce.ok(["copy", "-q", &format!("docker://{to}"), "store:app"]);
    assert_eq!(tierce.ok(["run", "--rm", "app", "cat", "/below", "/own"]), "new\nown\n");
    let manifest = json(&tierce, "manifest", &to);
    assert_eq!(manifest["annotations"]["org.opencontainers.image.base.name"], new);
    let history = json(&tierce, "config", &to)["history"].as_array().unwrap().len();
    assert_eq!(history, json(&tierce, "config", &new)["history"].as_array().unwrap().len() + 1);

    // The annotations name the base from now on.
    edit(&tierce, &["append", "-f", own.to_str().unwrap(), "-b", &old, "-t", &new]);
    edit(&tierce, &["rebase", "-t", &name("app:3"), &to]);
    let layers = |name: &str| json(&tierce, "manifest", name)["layers"].clone();
    let base = layers(&new);
    assert!(layers(&name("app:3")).as_array().unwrap().starts_with(base.as_array().unwrap()));

    let refused = tierce.run(["image", "rebase", "--old_base", &new, "--new_base", &old, &to]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("not those of the old base"), "{}", refused.stderr);
}

#[test]
fn notes_are_set_and_taken_away() {
    let (tierce, registry) = registry();
    let name = |name: &str| format!("{}/{name}", registry.address);
    let (base, noted, plain) = (name("base:1"), name("base:noted"), name("base:plain"));
    edit(&tierce, &["annotate", "-a", "a=1", "-a", "manifest:b=x,y=z", "-t", &noted, &base]);
    let notes = json(&tierce, "manifest", &noted)["annotations"].clone();
    assert_eq!(notes, serde_json::json!({"a": "1", "b": "x,y=z"}));
    edit(&tierce, &["annotate", "--remove", "a", "--remove", "b", "-t", &plain, &noted]);
    assert_eq!(json(&tierce, "manifest", &plain)["annotations"], Value::Null);
}

#[test]
fn archives_folders_and_the_store_serve_as_well() {
    let (tierce, registry) = registry();
    let base = format!("{}/base:1", registry.address);
    let layout = format!("oci:{}:x", tierce.scratch().join("layout").display());
    let digest = edit(&tierce, &["mutate", "--user", "5", "-t", &layout, &base]);
    assert_eq!(
        edit(&tierce, &["mutate", "--user", "5", "-t", "store:mine", "store:busybox"]),
        digest
    );
    assert_eq!(tierce.ok(["inspect", "-f", "{{.Config.User}}", "mine"]).trim(), "5");
    let archive = tierce.scratch().join("image.tar");
    edit(
        &tierce,
        &["mutate", "--user", "6", "-o", archive.to_str().unwrap(), "-t", "mine:6", &layout],
    );
    tierce.ok(["load", "-i", archive.to_str().unwrap()]);
    assert_eq!(tierce.ok(["inspect", "-f", "{{.Config.User}}", "mine:6"]).trim(), "6");
    let nowhere = tierce.run(["image", "mutate", "--user", "5", "store:busybox"]);
    assert!(nowhere.code == 1 && nowhere.stderr.contains("--tag"), "{nowhere:?}");
}

#[test]
fn all_layers_become_one_with_what_is_left_of_them() {
    let (tierce, registry) = registry();
    let context = tierce.scratch().join("flat");
    std::fs::create_dir_all(&context).unwrap();
    let text = "FROM busybox\nRUN echo one > /a && echo two > /b && echo x > /h && ln /h /i && mkfifo /p\n\
                RUN rm /b && chown 7:8 /a && rm -r /bin/cat && mkdir /empty\nENV A=b\nCMD [\"x\"]\n";
    std::fs::write(context.join("Dockerfile"), text).unwrap();
    let from = format!("{}/deep:1", registry.address);
    tierce.ok(["build", "-q", "-t", &from, "--push", context.to_str().unwrap()]);
    let to = format!("{}/flat:1", registry.address);
    let made = edit(&tierce, &["flatten", "-q", "-t", &to, &from]);
    assert_eq!(edit(&tierce, &["flatten", "-q", "-t", &to, &from]), made, "the same again");

    let manifest = json(&tierce, "manifest", &to);
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let config = json(&tierce, "config", &to);
    assert_eq!(config["config"]["Cmd"][0], "x");
    assert_eq!(config["history"].as_array().unwrap().len(), 1);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);

    tierce.ok(["pull", "-q", &from]);
    tierce.ok(["pull", "-q", &to]);
    assert_eq!(tierce.ok(["diff", &from, &to]), "", "the files and the config are the same");
    let inside = ["run", "--rm", &to, "sh", "-c", "stat -c %u:%g:%h:%F /a /h /p; ls -d /empty /b"];
    let seen = tierce.run(inside);
    assert_eq!(
        seen.stdout, "7:8:1:regular file\n0:0:2:regular file\n0:0:1:fifo\n/empty\n",
        "{seen:?}"
    );
}
