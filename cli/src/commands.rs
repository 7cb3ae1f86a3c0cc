//! The commands, one file each.

mod artifact;
mod attach;
mod bake;
mod build;
mod builder;
mod commit;
mod completion;
mod container;
mod copy;
mod cp;
mod create;
mod diff;
mod events;
mod exec;
mod export;
mod guard;
mod history;
mod image;
mod images;
mod imagetools;
mod import;
mod info;
mod inspect;
mod keep;
mod kill;
mod load;
mod login;
mod logout;
mod logs;
mod manifest;
mod network;
mod pause;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod registry;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod start;
mod stats;
mod stop;
mod sync;
mod system;
mod tag;
mod top;
mod unpause;
mod update;
mod version;
mod volume;
mod wait;

use crate::app::App;
use crate::error::Outcome;

/// Declares the commands: a variant, its file, and whether it handles files of many owners.
macro_rules! commands {
    ($($(#[$attribute:meta])* $variant:ident => $module:ident, trees: $trees:literal;)*) => {
        // What the user asks for. Only what is typed is described to the parser: to describe
        // all commands takes longer than most of them.
        #[derive(clap::Subcommand)]
        #[command(defer = true)]
        pub(crate) enum Command {
            $($(#[$attribute])* $variant($module::Args),)*
        }

        impl Command {
            /// Carries it out.
            pub(crate) fn run(self, app: &App) -> Outcome {
                match self {
                    $(Command::$variant(args) => $module::run(&args, app),)*
                }
            }

            /// Whether it reads or writes the store, whose files belong to many users: an
            /// ordinary user does that as root of a user namespace.
            pub(crate) fn touches_trees(&self) -> bool {
                match self {
                    Command::Builder(args) => return args.touches_trees(),
                    Command::Copy(args) => return args.touches_trees(),
                    Command::Image(args) => return args.touches_trees(),
                    _ => {}
                }
                match self {
                    $(Command::$variant(_) => $trees,)*
                }
            }

            /// What stands in the place of an image, if it looks like a switch.
            pub(crate) fn image_like_a_switch(&self) -> Option<String> {
                match self {
                    Command::Create(args) => args.image_like_a_switch(),
                    Command::Run(args) => args.image_like_a_switch(),
                    Command::Container(args) => args.image_like_a_switch(),
                    _ => None,
                }
            }

            /// Whether it makes such files, so that it matters who they can belong to.
            pub(crate) fn makes_trees(&self) -> bool {
                match self {
                    Command::Builder(args) => args.makes_trees(),
                    Command::Container(args) => args.makes_trees(),
                    Command::Image(args) => args.makes_trees(),
                    _ => matches!(
                        self,
                        Command::Build(_)
                            | Command::Run(_)
                            | Command::Create(_)
                            | Command::Pull(_)
                            | Command::Load(_)
                    ),
                }
            }
        }
    };
}

commands! {
    /// Build an image from a Dockerfile
    Build => build, trees: true;
    /// Build several images, as a file describes them
    Bake => bake, trees: false;
    /// Run a command in a new container
    Run => run, trees: true;
    /// Get an image from a registry
    Pull => pull, trees: true;
    /// Put an image into a registry
    Push => push, trees: true;
    /// List images
    Images => images, trees: true;
    /// List containers
    Ps => ps, trees: true;
    /// Run one more command in a container that runs
    Exec => exec, trees: true;
    /// Show what a container said
    Logs => logs, trees: true;
    /// Make a container without starting it
    Create => create, trees: true;
    /// Start containers that do not run
    Start => start, trees: true;
    /// Ask containers to end, and kill those that do not
    Stop => stop, trees: true;
    /// Stop containers and start them again
    Restart => restart, trees: true;
    /// Send containers a signal
    Kill => kill, trees: true;
    /// Wait for the end of containers and print their exit statuses
    Wait => wait, trees: true;
    /// Take part in the input and output of a container that runs
    Attach => attach, trees: true;
    /// Hold all processes of containers still
    Pause => pause, trees: true;
    /// Let the processes of paused containers go on
    Unpause => unpause, trees: true;
    /// Change what containers may use, and when they are started again
    Update => update, trees: true;
    /// List the processes of a container
    Top => top, trees: true;
    /// Show what containers use, again and again
    Stats => stats, trees: true;
    /// Give a container another name
    Rename => rename, trees: true;
    /// Show where the published ports of a container are
    Port => port, trees: true;
    /// Remove containers
    Rm => rm, trees: true;
    /// Show what a container changed: A added, C changed, D deleted
    Diff => diff, trees: true;
    /// Make an image from a container's changes
    Commit => commit, trees: true;
    /// Copy files into a container, or out of it
    Cp => cp, trees: true;
    /// Write the files of a container as a tar
    Export => export, trees: true;
    /// Make an image of a tar of files
    Import => import, trees: true;
    /// Give an image another name
    Tag => tag, trees: true;
    /// Remove images or names of images
    Rmi => rmi, trees: true;
    /// Show everything about images or containers, as JSON
    Inspect => inspect, trees: true;
    /// Show the steps that made an image
    History => history, trees: true;
    /// Write images to an archive
    Save => save, trees: true;
    /// Read images from an archive
    Load => load, trees: true;
    /// Remove what nothing refers to
    Prune => prune, trees: true;
    /// Copy images between registries, archives, directories and the store
    Copy => copy, trees: true;
    /// Bring many images from registries to registries, of each only what is not there
    Sync => sync, trees: false;
    /// Keep credentials for a registry
    Login => login, trees: false;
    /// Forget credentials for a registry
    Logout => logout, trees: false;
    /// Show what the store has, and what the machine is
    Info => info, trees: true;
    /// Show which version this is
    Version => version, trees: false;
    /// Show what happens to containers, images, volumes and networks
    Events => events, trees: true;
    /// The commands for containers, under one name
    Container => container, trees: true;
    /// The commands for images, under one name
    Image => image, trees: true;
    /// The commands for builds, under one name
    #[command(alias = "buildx")]
    Builder => builder, trees: true;
    /// Make lists of images for several platforms, and put them into registries
    Manifest => manifest, trees: true;
    /// Make, list and remove networks
    Network => network, trees: true;
    /// Make, list and remove volumes
    Volume => volume, trees: true;
    /// The commands for the store as a whole, under one name
    System => system, trees: true;
    /// Put files that are no images into registries, and get them
    Artifact => artifact, trees: false;
    /// Serve a registry, or ask one what it has
    Registry => registry, trees: false;
    /// Print what a shell needs to complete what is typed: commands, options, names
    Completion => completion, trees: false;
    /// Keep a container
    #[command(hide = true)]
    Keep => keep, trees: true;
    /// Run a program until standard input ends
    #[command(hide = true)]
    Guard => guard, trees: false;
}
