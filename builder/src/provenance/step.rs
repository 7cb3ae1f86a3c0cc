//! Steps in BuildKit's words, one function a kind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::definition::List;
use crate::instruction::{Chmod, Sharing};
use crate::lower::SCRIPT_DIR;
use crate::op::run::Access;
use crate::op::{
    self, Copy, CopySource, MountContent, Remote, Run, SourceTree, Take, TreePart, Workdir,
};
use crate::remote::redacted;
use crate::request::NetworkMode;

/// The inputs of a step, each once, by number.
#[derive(Default)]
struct Inputs(Vec<String>);

impl Inputs {
    /// The number of an input; -1 is the empty tree.
    fn number(&mut self, id: Option<&String>) -> i64 {
        let Some(id) = id else { return -1 };
        let known = self.0.iter().position(|known| known == id);
        let at = known.unwrap_or_else(|| {
            self.0.push(id.clone());
            self.0.len() - 1
        });
        i64::try_from(at).unwrap_or(-1)
    }
}

type Op = (Value, Vec<String>);

/// `ADD` of something elsewhere.
pub(super) fn remote(remote: &Remote) -> Op {
    let (identifier, attributes) = match remote {
        Remote::File(file) => {
            let mut attributes = json!({ "http.filename": file.name });
            if let Some(checksum) = &file.checksum {
                attributes["http.checksum"] = checksum.to_string().into();
            }
            (redacted(&file.url), attributes)
        }
        Remote::Git(git) => {
            let url = redacted(&git.url);
            let place = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            let part = match (&git.reference, &git.directory) {
                (None, None) => String::new(),
                (reference, None) => format!("#{}", reference.as_deref().unwrap_or_default()),
                (reference, Some(directory)) => {
                    format!("#{}:{directory}", reference.as_deref().unwrap_or_default())
                }
            };
            let mut attributes = json!({ "git.fullurl": url });
            if git.keep_git_dir {
                attributes["git.keepgitdir"] = "true".into();
            }
            (format!("git://{place}{part}"), attributes)
        }
    };
    (json!({ "source": { "identifier": identifier, "attrs": attributes } }), Vec::new())
}

/// `COPY` and `ADD`.
pub(super) fn copy(list: &mut List<'_>, copy: &Copy, trees: &[Option<String>]) -> Op {
    let mut inputs = Inputs::default();
    let first = inputs.number(trees.first().and_then(Option::as_ref));
    let mut actions = Vec::new();
    let last = copy.sources.len().saturating_sub(1);
    for (number, source) in copy.sources.iter().enumerate() {
        let (tree, fields) = source_of(list, copy, source, trees);
        let secondary = inputs.number(tree.as_ref());
        actions.push((number == last, secondary, fields));
    }
    let count = i64::try_from(inputs.0.len()).unwrap_or(0);
    let actions: Vec<Value> = actions
        .into_iter()
        .zip(0..)
        .map(|((is_last, secondary, fields), number)| {
            // An action works on what the one before it made, which counts on after the inputs.
            let input = if number == 0 { first } else { count + number - 1 };
            let output = if is_last { 0 } else { -1 };
            let copy = json!({ "copy": fields });
            json!({
                "input": input, "secondaryInput": secondary, "output": output, "Action": copy,
            })
        })
        .collect();
    (json!({ "file": { "actions": actions } }), inputs.0)
}

/// The tree that a source of COPY is in, and what is done with it.
fn source_of(
    list: &mut List<'_>,
    copy: &Copy,
    source: &CopySource,
    trees: &[Option<String>],
) -> (Option<String>, Map<String, Value>) {
    let mut fields = Map::new();
    let (tree, path) = match source {
        CopySource::Inline { name, content } => {
            let path = format!("/{name}");
            (Some(list.file(&path, content, 0o644)), path)
        }
        CopySource::Path { tree, pattern, .. } => {
            let tree = match tree {
                SourceTree::Context(context) => Some(list.context(*context)),
                SourceTree::Input(number) => trees.get(*number).cloned().flatten(),
            };
            (tree, pattern.clone())
        }
    };
    fields.insert("src".into(), path.into());
    fields.insert("dest".into(), copy.destination.clone().into());
    if let Some(owner) = &copy.owner {
        fields.insert("owner".into(), owner_words(owner));
    }
    match &copy.chmod {
        Some(Chmod::Octal(mode)) => drop(fields.insert("mode".into(), (*mode).into())),
        _ => drop(fields.insert("mode".into(), (-1).into())),
    }
    if let CopySource::Path { take, unpack, .. } = source {
        fields.insert("followSymlink".into(), true.into());
        fields.insert("dirCopyContents".into(), true.into());
        if *unpack {
            fields.insert("attemptUnpackDockerCompatibility".into(), true.into());
        }
        if let Take::Below(includes) = take {
            fields.insert("includePatterns".into(), json!([includes.text]));
        } else {
            fields.insert("allowWildcard".into(), true.into());
            fields.insert("allowEmptyWildcard".into(), true.into());
        }
    }
    if !copy.excludes.texts.is_empty() {
        fields.insert("excludePatterns".into(), json!(copy.excludes.texts));
    }
    fields.insert("createDestPath".into(), true.into());
    fields.insert("timestamp".into(), times(copy.times).into());
    (tree, fields)
}

/// The time that files get; -1 is their own.
fn times(times: op::Times) -> i64 {
    times.latest.and_then(|latest| latest.checked_mul(1_000_000_000)).unwrap_or(-1)
}

/// `USER:GROUP`.
fn owner_words(owner: &str) -> Value {
    let one = |name: &str| match name.parse::<u32>() {
        Ok(number) => json!({ "User": { "byId": number } }),
        Err(_) => json!({ "User": { "byName": { "name": name, "input": 0 } } }),
    };
    match owner.split_once(':') {
        Some((user, group)) => json!({ "user": one(user), "group": one(group) }),
        None => json!({ "user": one(owner) }),
    }
}

/// A file whose content the Dockerfile gives.
pub(super) fn inline_file(path: &str, content: &str, mode: u32) -> Value {
    let file = json!({
        "path": path, "mode": mode, "data": STANDARD.encode(content), "timestamp": -1,
    });
    let action = json!({
        "input": -1, "secondaryInput": -1, "output": 0, "Action": { "mkfile": file },
    });
    json!({ "file": { "actions": [action] } })
}

/// `WORKDIR`.
pub(super) fn workdir(workdir: &Workdir, trees: &[Option<String>]) -> Op {
    let mut inputs = Inputs::default();
    let input = inputs.number(trees.first().and_then(Option::as_ref));
    let mut directory = json!({ "path": workdir.path, "mode": 0o755, "makeParents": true });
    if !workdir.user.is_empty() {
        directory["owner"] = owner_words(&workdir.user);
    }
    directory["timestamp"] = times(workdir.times).into();
    let action = json!({
        "input": input, "secondaryInput": -1, "output": 0, "Action": { "mkdir": directory },
    });
    (json!({ "file": { "actions": [action] } }), inputs.0)
}

/// Layers on top of others.
pub(super) fn stack(trees: &[Option<String>]) -> Op {
    let mut inputs = Inputs::default();
    let merged: Vec<Value> =
        trees.iter().map(|tree| json!({ "input": inputs.number(tree.as_ref()) })).collect();
    (json!({ "merge": { "inputs": merged } }), inputs.0)
}

/// `RUN`.
pub(super) fn run(list: &mut List<'_>, run: &Run, trees: &[Option<String>]) -> Op {
    let mut inputs = Inputs::default();
    let root = inputs.number(trees.first().and_then(Option::as_ref));
    let mut mounts = vec![json!({ "input": root, "dest": "/" })];
    let part = |inputs: &mut Inputs, part: &TreePart| {
        (inputs.number(trees.get(part.input).and_then(Option::as_ref)), part.path.clone())
    };
    for mount in &run.mounts {
        let mut words = match &mount.content {
            MountContent::Tree(tree) => {
                let (input, selector) = part(&mut inputs, tree);
                json!({ "input": input, "selector": selector, "dest": mount.target, "output": -1 })
            }
            MountContent::Cache(cache) => {
                let options = json!({ "ID": cache.id, "sharing": sharing(cache.sharing) });
                let mut words = json!({
                    "input": -1, "dest": mount.target, "output": -1, "mountType": 3,
                    "cacheOpt": options,
                });
                if let Some(seed) = &cache.seed {
                    let (input, selector) = part(&mut inputs, seed);
                    words["input"] = input.into();
                    words["selector"] = selector.into();
                }
                words
            }
            MountContent::Host(_) => {
                json!({ "input": -1, "dest": mount.target, "output": -1 })
            }
            MountContent::Tmpfs { size } => tmpfs(&mount.target, *size),
        };
        if mount.read_only {
            words["readonly"] = true.into();
        }
        mounts.push(words);
    }
    if let Some(size) = run.settings.shm_size {
        mounts.push(tmpfs("/dev/shm", Some(size)));
    }
    if let Some(script) = &run.script {
        let id = list.file(&format!("/{}", script.name), &script.content, 0o755);
        mounts.push(json!({
            "input": inputs.number(Some(&id)), "dest": SCRIPT_DIR, "output": -1, "readonly": true,
        }));
    }
    let (secret_mounts, variables) = handed(run);
    mounts.extend(secret_mounts);
    let mut exec = json!({ "meta": meta(run), "mounts": mounts });
    exec["network"] = match run.network {
        NetworkMode::Host => 1.into(),
        NetworkMode::None => 2.into(),
    };
    if run.insecure {
        exec["security"] = 1.into();
    }
    if !variables.is_empty() {
        exec["secretenv"] = variables.into();
    }
    if !run.wanted.devices.is_empty() {
        let devices = run.wanted.devices.iter();
        let words =
            |device: &op::run::Device| json!({ "name": device.name, "optional": !device.required });
        exec["cdiDevices"] = devices.map(words).collect();
    }
    (json!({ "exec": exec }), inputs.0)
}

fn tmpfs(target: &str, size: Option<u64>) -> Value {
    json!({
        "input": -1, "dest": target, "output": -1, "mountType": 4,
        "TmpfsOpt": { "size": size.unwrap_or(0) },
    })
}

/// BuildKit's number for who may use a cache.
fn sharing(sharing: Sharing) -> u8 {
    match sharing {
        Sharing::Shared => 0,
        Sharing::Private => 1,
        Sharing::Locked => 2,
    }
}

/// The mounts of secrets and agents, and the variables that hold secrets.
fn handed(run: &Run) -> (Vec<Value>, Vec<Value>) {
    let (mut mounts, mut variables) = (Vec::new(), Vec::new());
    let options = |id: &String, access: Access, required: bool| {
        let mut options = json!({ "ID": id, "mode": access.mode });
        if access.uid != 0 {
            options["uid"] = access.uid.into();
        }
        if access.gid != 0 {
            options["gid"] = access.gid.into();
        }
        if !required {
            options["optional"] = true.into();
        }
        options
    };
    for secret in &run.wanted.secrets {
        if let Some(target) = &secret.target {
            mounts.push(json!({
                "input": -1, "dest": target, "mountType": 1,
                "secretOpt": options(&secret.id, secret.access, secret.required),
            }));
        }
        if let Some(variable) = &secret.variable {
            variables.push(json!({
                "ID": secret.id, "name": variable, "optional": !secret.required,
            }));
        }
    }
    for agent in &run.wanted.agents {
        mounts.push(json!({
            "input": -1, "dest": agent.target, "mountType": 2,
            "SSHOpt": options(&agent.id, agent.access, agent.required),
        }));
    }
    (mounts, variables)
}

/// What the process itself is given.
fn meta(run: &Run) -> Value {
    let env: Vec<String> = run.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut meta = json!({ "args": run.args, "env": env, "cwd": run.cwd });
    if !run.user.is_empty() {
        meta["user"] = run.user.clone().into();
    }
    if !run.settings.hosts.is_empty() {
        let hosts = run.settings.hosts.iter();
        let words = |(name, address): &(String, std::net::IpAddr)| json!({ "Host": name, "IP": address.to_string() });
        meta["extraHosts"] = hosts.map(words).collect();
    }
    meta["hostname"] = run.hostname.clone().into();
    meta
}
