//! A Dockerfile as the tests write it down: one line per instruction, each word with its place.

use builder::instruction::{
    CommandLine, CopySource, Flag, Healthcheck, Instruction, Mount, Pair, Statement,
};
use builder::stage::Dockerfile;
use builder::syntax::{Escape, Heredoc, Source, Span, Word};

pub(crate) fn dockerfile(source: &Source, file: &Dockerfile) -> String {
    let dump = Dump { source };
    let mut lines = Vec::new();
    if let Some(syntax) = &file.directives.syntax {
        lines.push(format!("syntax {}", dump.word(syntax)));
    }
    if file.directives.escape == Escape::Backtick {
        lines.push("escape `".to_owned());
    }
    if let Some(check) = &file.directives.check {
        let Span { start, end } = check.span;
        lines.push(format!(
            "check {:?} {:?} error={} {}",
            check.skip,
            check.experimental,
            check.error,
            dump.range(Span::new(start, end))
        ));
    }
    for arg in &file.meta_args {
        let (head, arg) = (dump.head(arg), &arg.instruction);
        lines.push(format!("{head} {}", dump.arg(arg)));
    }
    for stage in &file.stages {
        let from = &stage.from.instruction;
        let mut line = format!("{} {}", dump.head(&stage.from), dump.word(&from.image));
        if let Some(name) = &from.name {
            line += &format!(" AS {} ({})", dump.word(&name.written), name.folded);
        }
        line += &dump.flag("platform", from.platform.as_ref());
        lines.push(line);
        for statement in &stage.body {
            lines.push(format!("  {}", dump.statement(statement)));
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

struct Dump<'s> {
    source: &'s Source,
}

impl Dump<'_> {
    fn statement(&self, statement: &Statement) -> String {
        let mut line = format!("{} {}", self.head(statement), self.body(&statement.instruction));
        for heredoc in &statement.heredocs {
            line += &format!("\n    {}", self.heredoc(heredoc));
        }
        line
    }

    /// The keyword, the lines, and the comments above.
    fn head<I>(&self, statement: &Statement<I>) -> String {
        let comments = statement.comments.iter().map(|comment| format!("# {}\n", comment.text));
        let comments: String = comments.collect();
        let range = self.range(statement.span);
        format!("{comments}{} {range} {:?}:", statement.keyword.text, statement.text)
    }

    fn range(&self, span: Span) -> String {
        let (start, end) = (self.source.position(span.start), self.source.position(span.end));
        format!("{}:{}-{}:{}", start.line, start.column, end.line, end.column)
    }

    fn word(&self, word: &Word) -> String {
        let at = self.source.position(word.span.start);
        format!("{:?}@{}:{}", word.text, at.line, at.column)
    }

    fn words(&self, words: &[Word]) -> String {
        words.iter().map(|word| self.word(word)).collect::<Vec<_>>().join(" ")
    }

    fn flag(&self, name: &str, flag: Option<&Flag<Word>>) -> String {
        flag.map_or(String::new(), |flag| {
            format!(" --{name}={} {}", self.word(&flag.value), self.range(flag.span))
        })
    }

    fn command(&self, command: &CommandLine) -> String {
        match command {
            CommandLine::Shell(word) => format!("shell {}", self.word(word)),
            CommandLine::Exec(words) => format!("exec [{}]", self.words(words)),
        }
    }

    fn pairs(&self, pairs: &[Pair]) -> String {
        let pairs = pairs.iter().map(|pair| {
            let legacy = if pair.legacy { " legacy" } else { "" };
            format!("{}={}{legacy}", self.word(&pair.key), self.word(&pair.value))
        });
        pairs.collect::<Vec<_>>().join(" ")
    }

    fn arg(&self, arg: &builder::instruction::Arg) -> String {
        let definitions = arg.arguments.iter().map(|definition| match &definition.default {
            Some(default) => format!("{}={}", self.word(&definition.name), self.word(default)),
            None => self.word(&definition.name),
        });
        definitions.collect::<Vec<_>>().join(" ")
    }

    fn heredoc(&self, heredoc: &Heredoc) -> String {
        let expand = if heredoc.expand { " expands" } else { "" };
        let descriptor = heredoc.descriptor.map_or(String::new(), |fd| format!(" fd {fd}"));
        format!("<<{}{expand}{descriptor} {:?}", heredoc.name, heredoc.body())
    }

    fn sources(&self, sources: &[CopySource], destination: &Word) -> String {
        let sources = sources.iter().map(|source| match source {
            CopySource::Path(word) => self.word(word),
            CopySource::Heredoc(heredoc) => format!("<<{}", heredoc.name),
        });
        format!("{} -> {}", sources.collect::<Vec<_>>().join(" "), self.word(destination))
    }

    fn mount(&self, mount: &Mount) -> String {
        let fields = mount.fields.iter().map(|field| match &field.value {
            Some(value) => format!("{}={}", field.key.name(), self.word(value)),
            None => field.key.name().to_owned(),
        });
        let spec = match mount.resolve(|word| Ok(word.text.clone())) {
            Ok(spec) => format!("{spec:?}"),
            Err(diagnostic) => diagnostic.message,
        };
        format!("\n    mount {} => {spec}", fields.collect::<Vec<_>>().join(", "))
    }

    fn body(&self, instruction: &Instruction) -> String {
        match instruction {
            Instruction::From(_) => unreachable!("FROM begins a stage"),
            Instruction::Arg(arg) => self.arg(arg),
            Instruction::Env(env) => self.pairs(&env.variables),
            Instruction::Label(label) => self.pairs(&label.labels),
            Instruction::Cmd(cmd) => self.command(&cmd.command),
            Instruction::Entrypoint(entrypoint) => self.command(&entrypoint.command),
            Instruction::Expose(expose) => self.words(&expose.ports),
            Instruction::Volume(volume) => self.words(&volume.paths),
            Instruction::Shell(shell) => self.words(&shell.words),
            Instruction::Stopsignal(stop) => self.word(&stop.signal),
            Instruction::User(user) => self.word(&user.user),
            Instruction::Workdir(workdir) => {
                let mut line = self.word(&workdir.path);
                line += &self.flag("chown", workdir.chown.as_ref());
                line += &self.flag("chmod", workdir.chmod.as_ref());
                line
            }
            Instruction::Unset(unset) => {
                format!("{} {}", unset.property.name(), self.words(&unset.names))
            }
            Instruction::Maintainer(maintainer) => self.word(&maintainer.name),
            Instruction::Onbuild(onbuild) => {
                format!("{:?} = {}", onbuild.trigger, self.statement(&onbuild.statement))
            }
            Instruction::Run(run) => {
                let mut line = self.command(&run.command);
                if let Some(network) = run.network {
                    line += &format!(" network={:?}", network.value);
                }
                if let Some(security) = run.security {
                    line += &format!(" security={:?}", security.value);
                }
                for device in &run.devices {
                    let device = &device.value;
                    line += &format!(" device={} {}", self.word(&device.name), device.required);
                }
                line +=
                    &run.mounts.iter().map(|mount| self.mount(&mount.value)).collect::<String>();
                line
            }
            Instruction::Copy(copy) => {
                let mut line = self.sources(&copy.sources, &copy.destination);
                line += &self.flag("from", copy.from.as_ref());
                line += &self.flag("chown", copy.chown.as_ref());
                line += &self.flag("chmod", copy.chmod.as_ref());
                line += &boolean("link", copy.link);
                line += &boolean("parents", copy.parents);
                copy.excludes.iter().for_each(|f| line += &self.flag("exclude", Some(f)));
                line
            }
            Instruction::Add(add) => {
                let mut line = self.sources(&add.sources, &add.destination);
                line += &self.flag("chown", add.chown.as_ref());
                line += &self.flag("chmod", add.chmod.as_ref());
                line += &self.flag("checksum", add.checksum.as_ref());
                line += &boolean("link", add.link);
                line += &boolean("keep-git-dir", add.keep_git_dir);
                line += &boolean("unpack", add.unpack);
                line += &self.flag("strip-components", add.strip.as_ref());
                add.excludes.iter().for_each(|f| line += &self.flag("exclude", Some(f)));
                line
            }
            Instruction::Healthcheck(Healthcheck::None) => "none".to_owned(),
            Instruction::Healthcheck(Healthcheck::Cmd(probe)) => {
                let mut line = self.command(&probe.command);
                for (name, value) in [
                    ("interval", probe.interval),
                    ("timeout", probe.timeout),
                    ("start-period", probe.start_period),
                    ("start-interval", probe.start_interval),
                ] {
                    line +=
                        &value.map_or(String::new(), |flag| format!(" {name}={:?}", flag.value));
                }
                line +=
                    &probe.retries.map_or(String::new(), |flag| format!(" retries={}", flag.value));
                line
            }
        }
    }
}

fn boolean(name: &str, flag: Option<Flag<bool>>) -> String {
    flag.map_or(String::new(), |flag| format!(" {name}={}", flag.value))
}
