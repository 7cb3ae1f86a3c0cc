//! `tierce guard`: a program that ends with a pipe, whatever becomes of who started it. Not for
//! people.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::app::App;
use crate::error::{Doing, Failure, Outcome};

// What `tierce guard` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Carries it out: the program ends at the latest with our standard input.
pub(crate) fn run(args: &Args, _: &App) -> Outcome {
    let Some((program, words)) = args.command.split_first() else {
        return Err(Failure::new("no program is named"));
    };
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .spawn()
        .doing(|| format!("cannot start {}", program.display()))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::new("the program has no process id"))?;
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    let input = io::stdin();
    loop {
        // Nothing is ever written there: only its end is waited for.
        let mut either =
            [PollFd::new(&input, PollFlags::empty()), PollFd::new(&ended, PollFlags::IN)];
        match poll(&mut either, None) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result?,
        };
        if !either[0].revents().is_empty() {
            child.kill()?;
        }
        let status = child.wait()?;
        return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or_else(|| {
            let signal = status.signal().and_then(|signal| u8::try_from(signal).ok());
            128 | signal.unwrap_or_default()
        }));
    }
}
