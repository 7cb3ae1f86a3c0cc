//! `tierce bake`: what files of definitions mean, and what is built of them.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testutil::{EmbeddedRegistry, Tierce, busybox};

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

/// The lines of a file, if it is there.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Each case has what `docker buildx bake --print` answers.
#[test]
fn definitions_mean_what_they_mean_to_buildx() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/bake");
    let mut count = 0;
    for case in fs::read_dir(cases).unwrap() {
        let case = case.unwrap().path();
        let tierce = tierce();
        let mut words = vec!["bake".to_owned(), "--print".to_owned()];
        words.extend(lines(&case.join("words")));
        let mut command = tierce.command(&words);
        command.current_dir(&case);
        for line in lines(&case.join("environment")) {
            let (name, value) = line.split_once('=').unwrap();
            command.env(name, value);
        }
        let printed = command.output().unwrap();
        assert!(printed.status.success(), "{}: {printed:?}", case.display());
        let expected = fs::read_to_string(case.join("expected.json")).unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        assert_eq!(printed, expected, "{}", case.display());
        count += 1;
    }
    assert!(count > 10, "{count} cases");
}

/// A directory with these files.
fn project(tierce: &Tierce, files: &[(&str, &str)]) -> PathBuf {
    let directory = tierce.scratch().join("project");
    for (name, text) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

#[derive(Debug)]
struct Baked {
    success: bool,
    stdout: String,
    stderr: String,
}

fn bake(tierce: &Tierce, project: &Path, words: &[&str]) -> Baked {
    let output = tierce.command([&["bake"], words].concat()).current_dir(project).output().unwrap();
    Baked {
        success: output.status.success(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

const TWO: &str = r#"
group "default" { targets = ["one", "two"] }
target "one" {
  dockerfile-inline = "FROM scratch\nARG V=0\nCOPY file /$${V}\n"
  args              = { V = "1" }
  tags              = ["one:1"]
  labels            = { "of" = "one" }
}
target "two" {
  contexts   = { base = "target:one" }
  dockerfile = "two.Dockerfile"
  tags       = ["two:1"]
}
"#;

#[test]
fn targets_are_built_each_after_those_that_it_uses() {
    let tierce = tierce();
    let files = [
        ("docker-bake.hcl", TWO),
        ("two.Dockerfile", "FROM base\nCOPY file /two\n"),
        ("file", "content"),
    ];
    let project = project(&tierce, &files);
    let baked = bake(&tierce, &project, &["--metadata-file=m.json"]);
    assert!(baked.success, "{baked:?}");
    assert!(baked.stderr.contains("[one] ") && baked.stderr.contains("[two] "), "{baked:?}");
    let inspected: Value = serde_json::from_str(&tierce.ok(["inspect", "one:1", "two:1"])).unwrap();
    assert_eq!(inspected[0]["Config"]["Labels"]["of"], "one");
    let layers = |image: &Value| image["RootFS"]["Layers"].as_array().unwrap().clone();
    assert_eq!(layers(&inspected[1])[0], layers(&inspected[0])[0], "two lies on one");
    assert_eq!(layers(&inspected[1]).len(), 2);
    let metadata: Value =
        serde_json::from_str(&fs::read_to_string(project.join("m.json")).unwrap()).unwrap();
    assert_eq!(metadata["one"]["image.name"], "docker.io/library/one:1");

    // What only others use becomes nothing of its own.
    tierce.ok(["rmi", "one:1", "two:1"]);
    let baked = bake(&tierce, &project, &["two"]);
    assert!(baked.success, "{baked:?}");
    let names = tierce.ok(["images", "--format", "{{.Repository}}"]);
    assert_eq!(names.lines().filter(|name| *name != "<none>").collect::<Vec<_>>(), ["two"]);
}

#[test]
fn images_are_pushed_for_several_platforms() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let name = format!("{}/app:1", registry.address);
    let definition = format!(
        "target \"default\" {{\n  tags = [\"{name}\"]\n  platforms = [\"linux/amd64\", \
         \"linux/arm64\"]\n  attest = [{{ type = \"provenance\", mode = \"max\" }}]\n}}\n"
    );
    let files = [
        ("docker-bake.hcl", definition.as_str()),
        ("Dockerfile", "FROM scratch\nCOPY file /\n"),
        ("file", "content"),
    ];
    let project = project(&tierce, &files);
    let baked = bake(&tierce, &project, &["--push"]);
    assert!(baked.success, "{baked:?}");
    let index: Value = serde_json::from_str(&tierce.ok(["registry", "manifest", &name])).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 4);
}

#[test]
fn what_is_said_of_a_target_does_not_depend_on_where_others_were_put() {
    let tierce = tierce();
    let definition = r#"
target "base" { dockerfile-inline = "FROM scratch\nCOPY file /base\n" }
target "app" {
  contexts          = { base = "target:base" }
  dockerfile-inline = "FROM base\nCOPY file /app\n"
  args              = { SOURCE_DATE_EPOCH = "1" }
  attest            = ["type=provenance,mode=max"]
  output            = ["type=oci,tar=false,dest=layout"]
}
"#;
    let project = project(&tierce, &[("docker-bake.hcl", definition), ("file", "content")]);
    let built = || {
        let baked = bake(&tierce, &project, &["app", "--set=base.args.SOURCE_DATE_EPOCH=1"]);
        assert!(baked.success, "{baked:?}");
        let index = fs::read_to_string(project.join("layout/index.json")).unwrap();
        fs::remove_dir_all(project.join("layout")).unwrap();
        index
    };
    assert_eq!(built(), built());
}

#[test]
fn the_first_failure_ends_all_and_is_the_status() {
    let tierce = tierce();
    busybox(&tierce);
    let definition = r#"
group "default" { targets = ["slow", "wrong"] }
target "slow" { dockerfile-inline = "FROM busybox\nRUN sleep 100\n" }
target "wrong" { dockerfile-inline = "FROM busybox\nRUN exit 7\n" }
"#;
    let project = project(&tierce, &[("docker-bake.hcl", definition)]);
    let started = std::time::Instant::now();
    let output = tierce.command(["buildx", "bake"]).current_dir(&project).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(started.elapsed().as_secs() < 60, "the other was waited for");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let tierce = tierce();
    for (definition, words, reason) in [
        (
            "target \"a\" {\n  tags = [nothing]\n}\n",
            &["a"][..],
            "docker-bake.hcl:2: tags: there is no variable `nothing`",
        ),
        (
            "target \"a\" {\n  tgas = []\n}\n",
            &["a"],
            "docker-bake.hcl:2: tgas: a target has no such attribute",
        ),
        ("target \"a\" {\n  tags = [\"x\"\n}\n", &["a"], "docker-bake.hcl:3: `,` is missing here"),
        ("target \"a\" {}\n", &["b"], "failed to find target b"),
        (
            "target \"a\" {}\n",
            &["--set", "b.tags=x", "a"],
            "could not find any target matching 'b'",
        ),
        ("A = B\nB = A\ntarget \"a\" { tags = [A] }\n", &["a"], "needs itself"),
        (
            "function \"f\" {\n  params = []\n  result = f()\n}\ntarget \"a\" { tags = [f()] }\n",
            &["a"],
            "calls itself",
        ),
        ("target \"a\" {\n  matrix = { x = [\"1\", \"2\"] }\n}\n", &["a"], "duplicate name `a`"),
        ("target \"a\" {\n  contexts = { b = \"target:a\" }\n}\n", &["a"], "cannot link to itself"),
        ("target \"a\" {\n  network = \"host\"\n}\n", &["a"], "target a asks for network.host"),
        (
            "variable \"V\" {\n  type = number\n  default = \"x\"\n}\ntarget \"a\" {}\n",
            &["a"],
            "variable V is no number",
        ),
        (
            "variable \"V\" {\n  validation {\n    condition = V != \"\"\n    error_message = \"say V\"\n  }\n}\ntarget \"a\" {}\n",
            &["a"],
            "say V",
        ),
        ("blob \"a\" {}\n", &["a"], "there are no blocks `blob`"),
    ] {
        let project = project(&tierce, &[("docker-bake.hcl", definition)]);
        let baked = bake(&tierce, &project, words);
        assert!(!baked.success && baked.stderr.contains(reason), "{definition}{baked:?}");
    }
    let empty = tierce.scratch().join("empty");
    fs::create_dir_all(&empty).unwrap();
    let baked = bake(&tierce, &empty, &[]);
    assert!(
        !baked.success && baked.stderr.contains("there is no bake definition here"),
        "{baked:?}"
    );
}

#[test]
fn targets_and_variables_are_listed() {
    let tierce = tierce();
    let definition = "variable \"V\" {\n  default = 1\n  description = \"a number\"\n}\n\
                      variable \"W\" { type = list(string) }\n\
                      group \"all\" { targets = [\"b\", \"a\"] }\n\
                      target \"a\" { description = \"what it is\" }\n\
                      target \"b\" {}\ntarget \"_c\" {}\n";
    let project = project(&tierce, &[("docker-bake.hcl", definition)]);
    let list = |what: &str| bake(&tierce, &project, &["--list", what]).stdout;
    assert_eq!(list("targets"), "TARGET    DESCRIPTION\na         what it is\nall       a, b\nb\n");
    let listed: Value = serde_json::from_str(&list("type=targets,format=json")).unwrap();
    assert_eq!(
        listed,
        serde_json::json!([
            { "name": "a", "description": "what it is" },
            { "name": "all", "description": "a, b", "group": true },
            { "name": "b" },
        ])
    );
    let listed: Value = serde_json::from_str(&list("type=variables,format=json")).unwrap();
    assert_eq!(
        listed,
        serde_json::json!([
            { "name": "V", "description": "a number", "value": "1" },
            { "name": "W", "type": "list of string" },
        ])
    );
    assert!(list("variables").contains("<null>"));
}
