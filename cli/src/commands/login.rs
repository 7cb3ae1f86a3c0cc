//! `tierce login`: credentials for a registry.

use std::io::{BufRead, IsTerminal, Read, Write};

use registry_client::auth::{Credential, Secret, store_login};

use crate::app::App;
use crate::clients;
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;

// What `tierce login` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The user's name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// The password; better given on standard input
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
    /// The registry: host and port
    #[arg(default_value = oci::DEFAULT_REGISTRY)]
    registry: String,
    #[command(flatten)]
    connection: clients::ConnectionArgs,
}

/// Carries it out: nothing is kept that the registry does not take.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let username = match &args.username {
        Some(name) => name.clone(),
        None if args.password_stdin => {
            return Err(Failure::new("`--password-stdin` needs `--username`"));
        }
        None => ask("Username: ", true)?,
    };
    let password = match &args.password {
        Some(password) => password.clone(),
        None if args.password_stdin => {
            let mut text = String::new();
            std::io::stdin().lock().take(64 << 10).read_to_string(&mut text)?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        None => ask("Password: ", false)?,
    };
    let credential = Credential::Password { username, password: Secret::new(password) };
    let client = clients::client(app, &args.connection, &args.registry);
    let file = args.connection.authfile.clone().unwrap_or_else(|| app.machine.docker_config());
    app.network()?
        .block_on(client.check_login(&args.registry, credential.clone()))
        .doing(|| format!("cannot log in at {}", args.registry))?;
    app.network()?.block_on(store_login(&file, &args.registry, &credential))?;
    say!("Login Succeeded");
    Ok(0)
}

/// Asks at the terminal; a password is not shown.
fn ask(prompt: &str, shown: bool) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::new("nobody is there to be asked")
            .hint("give `--username NAME --password-stdin`"));
    }
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    let _hidden = if shown { None } else { Some(Hidden::now()?) };
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    if !shown {
        eprintln!();
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The terminal shows nothing of what is typed while this lives.
struct Hidden(rustix::termios::Termios);

impl Hidden {
    fn now() -> Result<Hidden, Failure> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let now = rustix::termios::OptionalActions::Now;
        // The terminal may be gone; then nobody is there to miss its echo.
        let _ = rustix::termios::tcsetattr(std::io::stdin(), now, &self.0);
    }
}
