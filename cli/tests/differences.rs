//! `tierce diff` of two images or containers.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use serde_json::Value;
use testutil::{Tierce, busybox};

/// Images `one` and `two` on a busybox, and a container `box` of `two`.
fn images() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let build = |name: &str, text: &str| {
        let context = tierce.scratch().join(name);
        std::fs::create_dir_all(&context).unwrap();
        std::fs::write(context.join("Dockerfile"), text).unwrap();
        let context = context.to_str().unwrap();
        let epoch = "SOURCE_DATE_EPOCH=1700000000";
        tierce.ok(["build", "-q", "--build-arg", epoch, "-t", name, context]);
    };
    let common = "FROM busybox AS common\n\
                  RUN mkdir -p /d/e /same && echo 1 > /d/f && echo 1 > /d/e/g && ln -s f /d/l\n\
                  RUN echo xx > /d/content && echo a > /d/gone && echo q > /same/q && touch /d/kind\n";
    build("one", &format!("{common}ENV A=1\nLABEL same=yes\n"));
    let changed = "RUN echo 22 > /d/f && chmod 4700 /d/f && chown 3:4 /d/e && ln -sfn e /d/l\n\
                   RUN echo yy > /d/content && rm /d/gone /d/kind && mkdir /d/kind && rm -r /d/e\n\
                   RUN mkdir /d/e && chmod 700 /d/e && touch /d/e/new && rm -rf /same && mkdir /same \
                   && echo q > /same/q\nENV A=2\nLABEL same=yes\nUSER 5\n";
    build("two", &format!("{common}{changed}"));
    tierce.ok(["run", "--name", "box", "-u", "0", "two", "sh", "-c", "echo 3 > /d/f; rm /d/l"]);
    tierce
}

#[test]
fn what_two_images_have_otherwise_is_told() {
    let tierce = images();
    let lines = tierce.ok(["diff", "one", "two"]);
    let expected = "C /d/content\tcontent\n\
                    C /d/e\tmode 0755 -> 0700\n\
                    D /d/e/g\tfile 0644 0:0 2\n\
                    A /d/e/new\tfile 0644 0:0 0\n\
                    C /d/f\tmode 0644 -> 4700, size 2 -> 3\n\
                    D /d/gone\tfile 0644 0:0 2\n\
                    C /d/kind\tfile 0644 0:0 0 -> directory 0755 0:0\n\
                    C /d/l\ttarget f -> e\n\
                    C config.User\t\"\" -> \"5\"\n";
    let (env, rest): (Vec<&str>, Vec<&str>) =
        lines.lines().partition(|line| line.starts_with("C config.Env"));
    assert_eq!(rest.join("\n") + "\n", expected);
    assert!(env[0].contains("\"A=1\"] -> ["), "{env:?}");
    assert_eq!(tierce.ok(["image", "diff", "one", "one"]), "");

    let all: Value =
        serde_json::from_str(&tierce.ok(["image", "diff", "--format=json", "two", "one"])).unwrap();
    let file = |path: &str| {
        let files = all["Files"].as_array().unwrap();
        files.iter().find(|file| file["Path"] == path).unwrap().clone()
    };
    assert_eq!(file("/d/gone")["Kind"], "A");
    assert_eq!(file("/d/f")["Aspects"], serde_json::json!(["mode", "size"]));
    assert_eq!(file("/d/f")["Before"]["Mode"], "4700");
    assert_eq!(file("/d/l")["After"]["Target"], "f");
    assert_eq!(all["Config"].as_array().unwrap().len(), 2);
}

#[test]
fn containers_are_compared_with_images_and_with_each_other() {
    let tierce = images();
    let lines = tierce.ok(["diff", "two", "box"]);
    let files: Vec<&str> = lines.lines().filter(|line| !line.contains("config")).collect();
    assert_eq!(files[0].split(", time").next(), Some("C /d/f\tsize 3 -> 2"));
    assert_eq!(files[1..], ["D /d/l\tsymlink 0:0 -> e"]);
    assert!(lines.contains("C config.User\t\"5\" -> \"0\""), "{lines}");
    tierce.ok(["create", "--name", "other", "-u", "0", "two", "true"]);
    let lines = tierce.ok(["diff", "other", "box"]);
    assert_eq!(lines.lines().filter(|line| !line.contains("config")).count(), 2, "{lines}");

    let refused = tierce.run(["diff", "one", "nothing"]);
    assert!(refused.code == 1 && refused.stderr.contains("tierce pull nothing"), "{refused:?}");
}
