//! Options of docker's that are not here: each is refused with the reason.

/// The value of an option that is never taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Never {}

/// Declares them, as `clap::Args` of which help does not speak: each takes whatever docker takes.
macro_rules! refused {
    ($name:ident { $($(#[$attribute:meta])* $option:ident: $reason:literal;)* }) => {
        #[derive(Debug, clap::Args)]
        #[allow(dead_code, reason = "none is ever taken")]
        pub(crate) struct $name {
            $(
                $(#[$attribute])*
                #[arg(
                    long,
                    hide = true,
                    num_args = 0..=1,
                    default_missing_value = "",
                    value_parser = |_: &str| -> Result<$crate::refused::Never, String> {
                        Err($reason.into())
                    }
                )]
                $option: Option<$crate::refused::Never>,
            )*
        }
    };
}

pub(crate) use refused;
