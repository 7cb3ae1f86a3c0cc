//! Signals that people and service managers send us: what runs in a container gets them, and a
//! build ends.

use std::time::Duration;

use builder::Cancel;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::Failure;

/// What is passed on. SIGKILL cannot be; the container dies with us then.
const PASSED_ON: [(Signal, SignalKind); 6] = [
    (Signal::HUP, SignalKind::hangup()),
    (Signal::INT, SignalKind::interrupt()),
    (Signal::QUIT, SignalKind::quit()),
    (Signal::TERM, SignalKind::terminate()),
    (Signal::USR1, SignalKind::user_defined1()),
    (Signal::USR2, SignalKind::user_defined2()),
];

/// The exit status of what was asked to end: that of a shell's job after SIGINT.
pub(crate) const CANCELLED: u8 = 130;

/// Signals caught for a container that is about to start.
pub(crate) struct Caught(tokio::runtime::Runtime);

impl Caught {
    /// Catches them from now on: one that comes while the container starts is not lost.
    pub(crate) fn catch() -> Result<Caught, Failure> {
        Ok(Caught(watcher()?))
    }

    /// Tells the number of each signal that comes.
    pub(crate) fn tell(&self, to: impl Fn(i32) + Clone + Send + 'static) -> Result<(), Failure> {
        for (number, kind) in PASSED_ON {
            let to = to.clone();
            let _guard = self.0.enter();
            let mut stream = signal(kind)?;
            self.0.spawn(async move {
                while stream.recv().await.is_some() {
                    to(number.as_raw());
                }
            });
        }
        Ok(())
    }

    /// Tells each time that our terminal has another size.
    pub(crate) fn tell_size(&self, to: impl Fn() + Send + 'static) -> Result<(), Failure> {
        let _guard = self.0.enter();
        let mut changed = signal(SignalKind::window_change())?;
        self.0.spawn(async move {
            while changed.recv().await.is_some() {
                to();
            }
        });
        Ok(())
    }

    /// Tells nobody any more.
    pub(crate) fn ignore(self) {
        self.0.shutdown_background();
    }
}

/// How long a build that is asked to end may take for it. What it then leaves, the next command
/// clears up.
const GRACE: Duration = Duration::from_secs(3);

/// Ends a build at the first signal that asks us to end, as long as it lives. A build that cannot
/// end by itself, because it waits for a registry for instance, is given up after a while, or at
/// the next signal.
pub(crate) struct CancelOnSignal(Option<tokio::runtime::Runtime>);

/// Catches the signals that ask us to end.
pub(crate) fn cancel_on_signal(cancel: &Cancel) -> Result<CancelOnSignal, Failure> {
    let runtime = watcher()?;
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let cancel = cancel.clone();
        let _guard = runtime.enter();
        let mut stream = signal(kind)?;
        runtime.spawn(async move {
            stream.recv().await;
            cancel.cancel();
            // Containers have ended by then, or end with us.
            let _ = tokio::time::timeout(GRACE, stream.recv()).await;
            anstream::eprintln!("{}the build was canceled", crate::ui::ERROR);
            std::process::exit(CANCELLED.into());
        });
    }
    Ok(CancelOnSignal(Some(runtime)))
}

impl Drop for CancelOnSignal {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn watcher() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}
