//! The distribution specification as assertions: the scripts in `tests/spec` are run against
//! every storage, in process, without a socket. Each line that expects something is an assertion.
//!
//! ```text
//! define NAME text TEXT | random BYTES      content; NAME.digest, NAME.sha512 and NAME.size too
//! define NAME <<                            the lines up to `>>` as one content
//! METHOD TARGET                             a request, where ${NAME.digest} is put in
//! > HEADER: VALUE                           one of its headers
//! send NAME | send NAME[FROM..TO]           its body
//! 200 | 400 or 404                          the status
//! < HEADER = VALUE, < HEADER absent, < HEADER present, < HEADER -> NAME (kept for ${NAME})
//! body = NAME[FROM..TO], body empty, code CODE, json /POINTER = JSON, json /POINTER absent
//! each WORD = VALUE VALUE…                  the lines up to its `end` for each value of ${WORD}
//! ```

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use oci::Algorithm;
use registry_server::{Config, MissingReferences, Registry, Storage, router};
use tower::ServiceExt;

use crate::store;

/// Losing a script or half of one must not go unnoticed.
const LEAST: usize = 2200;

#[tokio::test]
async fn memory_keeps_the_specification() {
    run_all(|config| Registry::with_config(Storage::memory(), config)).await;
}

#[tokio::test]
async fn a_directory_keeps_the_specification() {
    let root = tempfile::tempdir().unwrap();
    let mut stores = 0;
    run_all(|config| {
        stores += 1;
        let storage = Storage::dir(root.path().join(stores.to_string())).unwrap();
        Registry::with_config(storage, config)
    })
    .await;
}

#[tokio::test]
async fn a_bucket_keeps_the_specification() {
    let store = store::Store::start().await;
    let mut stores = 0;
    run_all(|config| {
        stores += 1;
        let bucket = store.bucket(&format!("some/{stores}"));
        Registry::with_config(Storage::bucket(&bucket).unwrap(), config)
    })
    .await;
}

/// Nothing but open uploads may live in the process alone.
#[tokio::test]
async fn a_directory_keeps_the_specification_when_it_is_reopened_for_each_request() {
    let root = tempfile::tempdir().unwrap();
    let mut stores = 0;
    let with_sessions = ["mount.http", "uploads.http", "blobs-matrix.http"];
    let held = run(
        |path| !with_sessions.iter().any(|name| path.ends_with(name)),
        |config| {
            stores += 1;
            let path = root.path().join(stores.to_string());
            Box::new(move || {
                let storage = Storage::dir(&path).expect("nobody has it open between two requests");
                router(Registry::with_config(storage, config.clone()))
            })
        },
    )
    .await;
    assert!(held >= 1300, "only {held} assertions were made");
}

async fn run_all(mut registry: impl FnMut(Config) -> Registry) {
    let held = run(
        |_| true,
        |config| {
            let router = router(registry(config));
            Box::new(move || router.clone())
        },
    )
    .await;
    assert!(held >= LEAST, "only {held} assertions were made");
}

/// Makes the router that answers the next request.
type MakeRouter = Box<dyn FnMut() -> Router>;

/// Runs the scripts that `chosen` names and answers with the number of assertions.
async fn run(
    chosen: impl Fn(&Path) -> bool,
    mut routers: impl FnMut(Config) -> MakeRouter,
) -> usize {
    let (mut held, mut failed) = (0, Vec::new());
    for path in scripts().into_iter().filter(|path| chosen(path)) {
        let text = std::fs::read_to_string(&path).unwrap();
        let missing_references = match path.file_stem().unwrap().to_str().unwrap() {
            "sparse" => MissingReferences::Allow,
            "sparse-index" => MissingReferences::AllowInIndex,
            _ => MissingReferences::Refuse,
        };
        let config = Config { missing_references, ..Config::default() };
        let mut script = Script::new(&path, routers(config));
        script.run(&text).await;
        held += script.held;
        failed.append(&mut script.failed);
    }
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        held + failed.len(),
        failed.join("\n")
    );
    println!("{held} assertions held");
    held
}

fn scripts() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

struct Script {
    name: String,
    router: MakeRouter,
    contents: HashMap<String, Vec<u8>>,
    words: HashMap<String, String>,
    request: Option<Pending>,
    answer: Option<Answer>,
    held: usize,
    failed: Vec<String>,
}

struct Pending {
    line: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Script {
    fn new(path: &Path, router: MakeRouter) -> Script {
        Script {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            router,
            contents: HashMap::new(),
            words: HashMap::new(),
            request: None,
            answer: None,
            held: 0,
            failed: Vec::new(),
        }
    }

    async fn run(&mut self, text: &str) {
        let mut lines = text.lines().map(str::to_owned).enumerate().collect::<VecDeque<_>>();
        while let Some((number, line)) = lines.pop_front() {
            if let Some((word, values)) =
                line.strip_prefix("each ").and_then(|t| t.split_once(" = "))
            {
                repeat(&mut lines, word, values);
                continue;
            }
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = if let Some(define) = line.strip_suffix("<<") {
                let end = lines.iter().position(|(_, line)| line.trim() == ">>").unwrap();
                let body: Vec<String> = lines.drain(..=end).map(|(_, line)| line).collect();
                let body: Vec<&str> = body[..end].iter().map(|line| line.trim()).collect();
                format!("{define} text {}", body.concat())
            } else {
                line.to_owned()
            };
            let line = self.put_in(&line);
            match self.step(&line).await {
                Step::Nothing => {}
                Step::Held => self.held += 1,
                Step::Failed(why) => {
                    let at = format!("{}:{}", self.name, number + 1);
                    self.failed.push(format!("{at}: {line}\n    {why}"));
                }
            }
        }
    }

    /// Puts the values of `${…}` in.
    fn put_in(&self, line: &str) -> String {
        let mut out = line.to_owned();
        while let Some(at) = out.rfind("${") {
            let end = at + out[at..].find('}').expect("a closing brace");
            out.replace_range(at..=end, &self.value(&out[at + 2..end]));
        }
        out
    }

    fn value(&self, name: &str) -> String {
        if let Some(word) = self.words.get(name) {
            return word.clone();
        }
        let (content, part) = name.split_once('.').unwrap_or_else(|| panic!("what is {name}?"));
        let bytes = self.contents.get(content).unwrap_or_else(|| panic!("what is {content}?"));
        match part {
            "digest" | "sha256" => Algorithm::Sha256.digest(bytes).to_string(),
            "sha512" => Algorithm::Sha512.digest(bytes).to_string(),
            "size" => bytes.len().to_string(),
            other => panic!("what is {other}?"),
        }
    }

    async fn step(&mut self, line: &str) -> Step {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "define" => self.define(rest),
            "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE" | "OPTIONS" => {
                let headers = HeaderMap::new();
                self.request = Some(Pending { line: line.to_owned(), headers, body: Vec::new() });
                self.answer = None;
                Step::Nothing
            }
            ">" => {
                let (name, value) = rest.split_once(": ").expect("a header");
                let pending = self.request.as_mut().expect("a request before its header");
                let name = name.parse::<HeaderName>().unwrap();
                pending.headers.append(name, HeaderValue::from_str(value).unwrap());
                Step::Nothing
            }
            "send" => {
                let body = self.part(rest);
                self.request.as_mut().expect("a request before its body").body = body;
                Step::Nothing
            }
            "<" => self.header(rest),
            "body" => self.body(rest),
            "code" => {
                let code = json(self.answer(), "/errors/0/code");
                check(code == Some(rest.into()), || format!("the code is {code:?}"))
            }
            "json" => self.json(rest),
            status if status.parse::<u16>().is_ok() => self.send(line).await,
            other => panic!("{}: what is `{other}`?", self.name),
        }
    }

    fn define(&mut self, rest: &str) -> Step {
        let (name, rest) = rest.split_once(' ').expect("a name and content");
        let (kind, rest) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
        let bytes = match kind {
            "text" => rest.into(),
            "random" => noise(name, rest.parse().unwrap()),
            other => panic!("what is {other}?"),
        };
        self.contents.insert(name.to_owned(), bytes);
        Step::Nothing
    }

    /// `NAME` or `NAME[FROM..TO]`.
    fn part(&self, text: &str) -> Vec<u8> {
        let (name, range) = text.split_once('[').unwrap_or((text, ""));
        let bytes = self.contents.get(name).unwrap_or_else(|| panic!("what is {name}?"));
        let Some((from, to)) = range.trim_end_matches(']').split_once("..") else {
            return bytes.clone();
        };
        let range: Range<usize> = from.parse().unwrap()..to.parse().unwrap_or(bytes.len());
        bytes[range].to_vec()
    }

    async fn send(&mut self, expected: &str) -> Step {
        let pending = self.request.take().expect("a request before its status");
        let (method, target) = pending.line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(target);
        *request.headers_mut().unwrap() = pending.headers;
        if !pending.body.is_empty() {
            let headers = request.headers_mut().unwrap();
            headers.entry("content-length").or_insert(pending.body.len().into());
        }
        let request = request.body(Body::from(pending.body)).unwrap();
        let response = (self.router)().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body arrives whole").to_bytes().to_vec();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        let status = answer.status.as_u16().to_string();
        let held = expected.split(" or ").any(|expected| expected == status);
        let told = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned();
        let version = answer.headers.get("docker-distribution-api-version").cloned();
        self.answer = Some(answer);
        check(held, || format!("{} is answered with {status} {told}", pending.line))
            .and(check(version.is_some(), || "the API version is missing".to_owned()))
    }

    fn answer(&self) -> &Answer {
        self.answer.as_ref().expect("a status before what else is expected")
    }

    fn header(&mut self, rest: &str) -> Step {
        let (name, rest) = rest.split_once(' ').expect("a header and what of it");
        let values: Vec<String> = self
            .answer()
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        let found = values.join(", ");
        match rest.split_once(' ') {
            None if rest == "absent" => check(values.is_empty(), || format!("it is {found}")),
            None if rest == "present" => check(!values.is_empty(), || "it is not".to_owned()),
            Some(("=", expected)) => check(found == expected, || format!("it is {found}")),
            Some(("->", name)) => {
                self.words.insert(name.to_owned(), found.clone());
                check(!found.is_empty(), || "it is not there".to_owned())
            }
            _ => panic!("{}: what is `{rest}`?", self.name),
        }
    }

    fn body(&self, rest: &str) -> Step {
        let body = &self.answer().body;
        let expected = match rest.strip_prefix("= ") {
            Some(content) => self.part(content),
            None if rest == "empty" => Vec::new(),
            None => panic!("{}: what is `body {rest}`?", self.name),
        };
        check(*body == expected, || format!("it has {} bytes, not {}", body.len(), expected.len()))
    }

    fn json(&self, rest: &str) -> Step {
        let (pointer, rest) = rest.split_once(' ').expect("a pointer and what of it");
        // The whole document is written as `.`.
        let found = json(self.answer(), if pointer == "." { "" } else { pointer });
        match rest.strip_prefix("= ") {
            Some(expected) => {
                let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
                check(found == Some(expected), || format!("it is {found:?}"))
            }
            None if rest == "absent" => check(found.is_none(), || format!("it is {found:?}")),
            None => panic!("{}: what is `{rest}`?", self.name),
        }
    }
}

/// Puts the lines up to the `end` of a loop before the others, once for each value.
fn repeat(lines: &mut VecDeque<(usize, String)>, word: &str, values: &str) {
    let mut depth = 1;
    let end = lines.iter().position(|(_, line)| {
        depth += usize::from(line.starts_with("each "));
        depth -= usize::from(line == "end");
        depth == 0
    });
    let end = end.expect("an end of what is repeated");
    let repeated: Vec<_> = lines.drain(..=end).take(end).collect();
    for value in values.split_whitespace().rev() {
        for (number, line) in repeated.iter().rev() {
            lines.push_front((*number, line.replace(&format!("${{{word}}}"), value)));
        }
    }
}

enum Step {
    Nothing,
    Held,
    Failed(String),
}

impl Step {
    fn and(self, other: Step) -> Step {
        if matches!(self, Step::Held) { other } else { self }
    }
}

fn check(held: bool, why: impl FnOnce() -> String) -> Step {
    if held { Step::Held } else { Step::Failed(why()) }
}

fn json(answer: &Answer, pointer: &str) -> Option<serde_json::Value> {
    let value: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    value.pointer(pointer).cloned()
}

/// Bytes that are the same at every run and differ by name.
fn noise(name: &str, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 64);
    let mut seed = name.to_owned();
    while bytes.len() < size {
        seed = Algorithm::Sha256.digest(seed.as_bytes()).hex().to_owned();
        bytes.extend_from_slice(seed.as_bytes());
    }
    bytes.truncate(size);
    bytes
}
