//! `tierce exec`: one more command in a container that runs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};

use crate::app::App;
use crate::containers::{OWN_FAILURE, options};
use crate::error::{Failure, Outcome};
use crate::keeper::wire::{self, Exec, Reply, Request};
use crate::keeper::{ask, descriptors};
use crate::signals::Caught;
use crate::terminal::{self, DetachKeys, Raw};

// What `tierce exec` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do not wait for the command
    #[arg(short, long)]
    detach: bool,
    /// Set a variable: NAME=VALUE, or NAME to take it from here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the variables of a file with a NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Pass standard input on
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// As whom the command runs: name or id, with an optional :group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Where the command starts
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Let the command do what those of a privileged container may
    #[arg(long)]
    privileged: bool,
    /// The keys that leave a command at a terminal to itself; ctrl-p,ctrl-q unless docker's
    /// configuration says otherwise
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<DetachKeys>,
    /// Name or id of the container
    container: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Carries it out: its status is the command's.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let container = store.container(&args.container)?;
    if args.tty && args.interactive && !args.detach {
        terminal::require_ours()?;
    }
    let mut env = Vec::new();
    options::set_variables(app, &mut env, &args.env_file, &args.env)?;
    let exec = Exec {
        args: args.command.clone(),
        env,
        user: args.user.clone(),
        working_dir: args.workdir.as_deref().map(options::absolute).transpose()?,
        privileged: args.privileged,
        terminal: args.tty,
        size: if args.tty { terminal::our_size() } else { None },
        detach: args.detach,
    };
    let not_running = || Failure::new(format!("container {} is not running", container.name));
    let keeper = ask::connect(store, &container.id)?.ok_or_else(not_running)?;
    wire::say(&keeper, &Request::Exec(exec))?;
    if !args.tty && !args.detach {
        pass_streams(&keeper, args.interactive)?;
    }
    match wire::hear(&keeper)? {
        Some(Reply::Done) => {}
        Some(Reply::Failed { message, hint, code }) => {
            return Err(ask::reported(message, hint, code));
        }
        Some(_) | None => return Err(not_running()),
    }
    match (args.detach, args.tty) {
        (true, _) => Ok(0),
        (false, true) => {
            let [terminal] = descriptors::take(&keeper)?;
            let keys = app.detach_keys(args.detach_keys.as_ref());
            let keys = args.interactive.then_some(keys);
            match at_terminal(&File::from(terminal), keys)? {
                Left::Closed => end(&keeper),
                Left::Open => Ok(0),
            }
        }
        (false, false) => end(&keeper),
    }
}

/// The status that the command ends with; that of SIGKILL if the container ends before.
fn end(keeper: &UnixStream) -> Outcome {
    let reply: Option<Reply> = wire::hear(keeper).unwrap_or(None);
    let code = match reply {
        Some(Reply::Ended(code)) => code,
        _ => 137,
    };
    Ok(u8::try_from(code).unwrap_or(OWN_FAILURE))
}

/// Gives the command our own streams.
fn pass_streams(keeper: &UnixStream, interactive: bool) -> Result<(), Failure> {
    let stdin: OwnedFd = if interactive {
        io::stdin().as_fd().try_clone_to_owned()?
    } else {
        File::open("/dev/null")?.into()
    };
    let (stdout, stderr) = (io::stdout(), io::stderr());
    Ok(descriptors::pass(keeper, &[stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])?)
}

/// How a command's terminal is left.
enum Left {
    /// The command has closed it.
    Closed,
    /// The command goes on.
    Open,
}

/// Joins our terminal with the command's, until that is closed or, by the keys, left; without keys
/// nothing is typed.
fn at_terminal(theirs: &File, keys: Option<DetachKeys>) -> Result<Left, Failure> {
    let caught = Caught::catch()?;
    let sized = theirs.try_clone()?;
    let tell_size = move || {
        if let Some(size) = terminal::our_size() {
            terminal::resize(&sized, size);
        }
    };
    caught.tell_size(tell_size)?;
    let _raw = if keys.is_some() { Some(Raw::set()?) } else { None };
    let (leaving, leave) = UnixStream::pair()?;
    if let Some(keys) = keys {
        let to = theirs.try_clone()?;
        // Ends with the process: nobody can end a read of our standard input.
        std::thread::Builder::new().name("input".into()).spawn(move || {
            let left = type_at(&to, keys);
            if !matches!(left, Ok(Left::Open)) {
                // What the command says is shown to its end.
                std::mem::forget(leave);
            }
        })?;
        let left = show(theirs, Some(&leaving));
        caught.ignore();
        return Ok(left);
    }
    let left = show(theirs, None);
    caught.ignore();
    Ok(left)
}

/// Passes on what is typed, up to the keys that leave.
fn type_at(mut terminal: &File, mut keys: DetachKeys) -> io::Result<Left> {
    let mut buffer = [0; 8192];
    loop {
        let count = match io::stdin().lock().read(&mut buffer) {
            Ok(0) => return Ok(Left::Closed),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let (passed, leave) = keys.take(&buffer[..count]);
        terminal.write_all(&passed)?;
        if leave {
            return Ok(Left::Open);
        }
    }
}

/// Shows at once what comes, until the other side is closed, for which reading ends with EIO, or
/// somebody leaves: then that connection is closed.
fn show(mut terminal: &File, leaving: Option<&UnixStream>) -> Left {
    let mut buffer = [0; 8192];
    loop {
        let mut watched = vec![PollFd::new(terminal, PollFlags::IN)];
        watched.extend(leaving.map(|leaving| PollFd::new(leaving, PollFlags::IN)));
        match poll(&mut watched, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return Left::Closed,
            Ok(_) if watched.get(1).is_some_and(|left| !left.revents().is_empty()) => {
                return Left::Open;
            }
            Ok(_) => {}
        }
        let count = match terminal.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return Left::Closed,
            Ok(count) => count,
        };
        let mut out = io::stdout().lock();
        if out.write_all(&buffer[..count]).and_then(|()| out.flush()).is_err() {
            return Left::Closed;
        }
    }
}
