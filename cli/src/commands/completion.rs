//! `tierce completion`: what a shell needs to complete what is typed.

use clap_complete::env::Shells;

use crate::app::App;
use crate::completion::VARIABLE;
use crate::error::{Failure, Outcome};
use crate::ui::say;

// What `tierce completion` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    shell: String,
}

/// Carries it out: prints a script that the shell is to read when it starts.
pub(crate) fn run(args: &Args, _app: &App) -> Outcome {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&args.shell)
        .ok_or_else(|| Failure::new(format!("nothing is known of the shell {}", args.shell)))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "tierce", "tierce", "tierce", &mut script)?;
    say!("{}", String::from_utf8_lossy(&script).trim());
    Ok(0)
}
