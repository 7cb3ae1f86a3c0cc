//! Serves a registry on a free port of the loopback interface until it is interrupted:
//! `cargo run -p registry-server --example serve [DIRECTORY]`, in memory without a directory.

use registry_server::{Registry, Storage, serve};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let storage = match std::env::args_os().nth(1) {
        Some(directory) => Storage::dir(directory)?,
        None => Storage::memory(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, Registry::new(storage), async {
        // Where no signal can be waited for there is nothing to stop it but a kill.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
    .await?;
    Ok(())
}
