//! What the program says of itself.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use testutil::Tierce;

/// The lines of a list of commands: names, and what the list says of them.
fn listed(help: &str) -> Vec<(String, String)> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in list.take_while(|line| !line.is_empty()) {
        let (name, about) = line.trim_start().split_once("  ").unwrap_or(("", line));
        match commands.last_mut() {
            // The rest of what did not fit into a line.
            Some((_, before)) if line.starts_with("     ") => {
                before.push_str(&format!(" {}", line.trim()));
            }
            _ => commands.push((name.to_owned(), about.trim().to_owned())),
        }
    }
    commands.retain(|(name, _)| name != "help");
    commands
}

/// What a help begins with, whatever its lines' length.
fn beginning(help: &str) -> String {
    help.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Every command below `group` begins its help with what the list says of it; how many there are.
fn compare(tierce: &Tierce, group: &[&str]) -> usize {
    let commands = listed(&tierce.ok([group, &["--help"]].concat()));
    for (name, about) in &commands {
        let command = [group, &[name.as_str()]].concat();
        let help = tierce.ok([command.as_slice(), &["--help"]].concat());
        let about = about.split(" [alias").next().unwrap_or_default();
        assert_eq!(beginning(&help), about, "{command:?}");
    }
    let below = commands.iter().map(|(name, _)| compare(tierce, &[group, &[name]].concat()));
    below.sum::<usize>() + commands.len()
}

#[test]
fn the_help_of_a_command_begins_with_what_it_does() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let count = compare(&tierce, &[]);
    assert!(count > 100, "{count} commands were found");
}
