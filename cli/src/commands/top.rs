//! `tierce top`: the processes of a container, as `ps` would list them on the machine.

mod column;
mod process;

use layerfs::Container;

use crate::app::App;
use crate::containers::events::note;
use crate::error::{Failure, Outcome};
use crate::keeper::ask::demand;
use crate::keeper::wire::{Reply, Request};
use crate::ui::say_bytes;
use crate::ui::table::Table;
use column::{Column, Heading};
use process::{Machine, Process};

// What `tierce top` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name or id of the container
    container: String,
    /// What ps would be asked: -ef, aux, or -o with columns: pid,user,args
    #[arg(value_name = "PS OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let columns = column::wanted(&args.options)?;
    let store = app.store()?;
    let container = store.container(&args.container)?;
    let Reply::Processes(processes) = demand(store, &container, &Request::Processes)? else {
        return Err(no_answer(&container));
    };
    let machine = Machine::look()?;
    let headings: Vec<&str> = columns.iter().map(|Heading { text, .. }| text.as_str()).collect();
    let mut table = Table::new(&headings);
    // One that has ended meanwhile is no longer to be listed.
    for process in processes.into_iter().filter_map(Process::read) {
        let cell = |Heading { column, .. }: &Heading| Column::cell(*column, &process, &machine);
        table.row(columns.iter().map(cell).collect());
    }
    note(store, &container, "top", &[]);
    say_bytes(table.render().as_bytes())?;
    Ok(0)
}

fn no_answer(container: &Container) -> Failure {
    Failure::new(format!("container {}: its keeper does not name its processes", container.name))
}
