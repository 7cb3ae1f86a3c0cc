//! `cargo xtask demo`: from a Dockerfile to a registry and back.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::cargo::{build_tierce, target_dir, workspace};
use crate::packages;
use crate::step::{self, Result, output, typed};

struct Options {
    base: Option<String>,
    binary: Option<PathBuf>,
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options { base: None, binary: None };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().ok_or_else(|| format!("`{arg}` needs a value"));
        match arg.as_str() {
            "--base" => options.base = Some(value()?),
            "--binary" => options.binary = Some(value()?.into()),
            other => {
                return Err(format!(
                    "`demo` knows `--base IMAGE` and `--binary FILE`, not `{other}`"
                ));
            }
        }
    }
    Ok(options)
}

/// Builds everything, shows each command, and ends with the pulled image's line.
fn run_demo(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build_tierce("release")?,
    };
    let scratch = target_dir().join("demo");
    let demo = Demo { binary, scratch: scratch.clone() };
    demo.clear()?;
    let base = match &options.base {
        Some(image) => image.clone(),
        None => demo.busybox_base(&packages::busybox(&scratch)?)?,
    };
    let registry = demo.serve()?;
    let image = format!("{}/hello", registry.address);
    let hello = workspace().join("testdata/hello");
    demo.show(
        demo.tierce("here")
            .args(["build", "-t", &image, "--build-arg"])
            .arg(format!("BASE={base}"))
            .arg(&hello),
    )?;
    demo.show(demo.tierce("here").arg("images"))?;
    demo.show(demo.tierce("here").args(["push", &image]))?;
    let mut inspect = demo.tierce("here");
    inspect.args(["inspect", "--format", "{{index .RepoDigests 0}}", &image]);
    println!("\n$ {}", typed(&inspect));
    let by_digest = output(&mut inspect)?.trim().to_owned();
    println!("{by_digest}");
    demo.show(demo.tierce("there").args(["pull", &by_digest]))?;
    demo.show(demo.tierce("there").args(["run", "--rm", "--network", "none", &by_digest]))
}

/// The command's entry.
pub(crate) fn run(args: &[String]) -> Result<()> {
    run_demo(&options(args)?)
}

struct Demo {
    binary: PathBuf,
    scratch: PathBuf,
}

impl Demo {
    /// `tierce` with a store of its own: two stores stand for two machines.
    fn tierce(&self, store: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--root").arg(self.scratch.join(store));
        command
    }

    fn show(&self, command: &mut Command) -> Result<()> {
        println!("\n$ {}", typed(command));
        step::run(command)
    }

    /// An earlier demo's stores hold files of other users; only Tierce can remove them.
    fn clear(&self) -> Result<()> {
        for store in ["here", "there"] {
            if self.scratch.join(store).exists() {
                step::run(
                    self.tierce(store).args(["prune", "--all", "--force"]).stdout(Stdio::null()),
                )?;
            }
        }
        Ok(())
    }

    /// The base needs no registry: a busybox and the links to it, built by Tierce itself.
    fn busybox_base(&self, busybox: &Path) -> Result<String> {
        let context = self.scratch.join("base");
        let copy = |from: &Path, name: &str| {
            std::fs::copy(from, context.join(name))
                .map_err(|e| format!("cannot copy {}: {e}", from.display()))
        };
        std::fs::create_dir_all(&context)
            .map_err(|e| format!("cannot create {}: {e}", context.display()))?;
        copy(&workspace().join("testdata/busybox/Dockerfile"), "Dockerfile")?;
        copy(busybox, "busybox")?;
        let name = "busybox:latest";
        self.show(self.tierce("here").args(["build", "-t", name]).arg(&context))?;
        Ok(name.to_owned())
    }

    fn serve(&self) -> Result<Registry> {
        let mut command = self.tierce("here");
        command.args(["registry", "serve", "--listen", "127.0.0.1:0"]);
        println!("\n$ {} &", typed(&command));
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start the registry: {e}"))?;
        let stdout = child.stdout.take().ok_or("the registry has no standard output")?;
        let mut registry = Registry { child, address: String::new() };
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(|e| format!("cannot read what the registry says: {e}"))?;
        println!("{}", line.trim_end());
        registry.address = line
            .trim()
            .strip_prefix("listening on http://")
            .ok_or_else(|| format!("the registry said `{}`", line.trim()))?
            .to_owned();
        Ok(registry)
    }
}

/// The embedded registry; it ends with the demo.
struct Registry {
    child: Child,
    address: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
