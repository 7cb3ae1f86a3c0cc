//! What arrives is the file, wherever the client is.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Distance, Outbox, Socket};

/// A file of three parts and a bit, whose bytes tell where they are.
fn file() -> (Arc<File>, Vec<u8>) {
    let bytes: Vec<u8> = (0..3_500_000_u32).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    (Arc::new(file), bytes)
}

/// Writes a range of a file as a body into a socket, and answers with what came out of it, or
/// with why the sender gave up.
async fn sent(
    client: Distance,
    file: Arc<File>,
    range: Range<u64>,
) -> Result<Vec<u8>, std::io::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let outbox = Outbox::new(client);
    let mut socket = Socket::new(stream, outbox.clone());
    let writer = tokio::spawn(async move {
        let mut body = Box::pin(outbox.body(file, range));
        while let Some(piece) = body.next().await {
            socket.write_all(&piece?).await?;
        }
        Ok::<(), std::io::Error>(())
    });
    let mut came = Vec::new();
    reader.read_to_end(&mut came).await.unwrap();
    writer.await.unwrap().map(|()| came)
}

#[tokio::test]
async fn any_range_arrives() {
    let (file, bytes) = file();
    let whole = bytes.len() as u64;
    let ranges = [0..whole, 0..1, 1..4096, 4095..4097, 1_048_575..2_100_001, whole - 1..whole];
    for client in [Distance::Near, Distance::Far] {
        for range in &ranges {
            let came = sent(client, file.clone(), range.clone()).await.unwrap();
            let wanted = &bytes[range.start as usize..range.end as usize];
            assert!(came == wanted, "{client:?} {range:?}: {} bytes", came.len());
        }
    }
}

#[tokio::test]
async fn a_file_that_ends_early_ends_the_connection() {
    let (file, bytes) = file();
    for client in [Distance::Near, Distance::Far] {
        let beyond = bytes.len() as u64 + 100_000;
        sent(client, file.clone(), 0..beyond).await.expect_err("the file is shorter");
    }
}
