//! Set-up and chores: `cargo xtask demo | test | bench | compare | dist`.

mod bench;
mod cargo;
mod compare;
mod demo;
mod dist;
mod packages;
mod step;
mod test;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  demo [--base IMAGE]   build Tierce, then an image; push, pull and run it, each command shown
  test [FILTER…]        install the peers that the tests talk to, then run every test
  bench [SCENARIO…]     compare Tierce with the peers that are here; `bench --help` tells more
  compare PEER [CASE…]  build the Dockerfiles of testdata with Tierce and a peer; `--help` tells more
  dist                  build the static binary that is handed out, and print where it is";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let result = match command.as_str() {
        "demo" => demo::run(&rest),
        "test" => test::run(&rest),
        "bench" => bench::run(&rest),
        "compare" => compare::run(&rest),
        "dist" => dist::run(&rest),
        // Not for people: what a measured command is started by.
        "supervise" => bench::supervise(&rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("there is no command `{other}`\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
