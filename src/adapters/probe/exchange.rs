//! One request and its answer, on a connection that is there already.

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

/// Bytes of the head of an answer.
const MOST_HEAD: usize = 16 * 1024;

/// Headers of an answer.
const MOST_HEADERS: usize = 64;

/// What was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Its body, or as much of it as was wanted.
    pub(super) body: Vec<u8>,
    /// Whether there was more.
    pub(super) cut: bool,
}

/// Why there is no answer, in few words.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("what was answered is no HTTP")]
    NoHttp,
    #[error("the answer broke off")]
    Broken,
    #[error("the request cannot be made")]
    Request,
}

/// The connection lives no longer than what is read from it.
struct Driven(JoinHandle<()>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request without a body and reads the answer, of its body no more than `most` bytes.
pub(super) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    method: Method,
    path: Uri,
    host: &str,
    most: usize,
) -> Result<Answer, ExchangeError> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MOST_HEAD).max_headers(MOST_HEADERS);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|_| ExchangeError::NoHttp)?;
    let _driven = Driven(tokio::spawn(async move {
        // How it ends shows in the answer.
        let _ended = connection.await;
    }));
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("argocd-orchestrator/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| ExchangeError::Request)?;
    let answer = sender.send_request(request).await.map_err(|error| {
        if error.is_parse() || error.is_parse_too_large() {
            ExchangeError::NoHttp
        } else {
            ExchangeError::Broken
        }
    })?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| ExchangeError::Broken)?.into_data() else { continue };
        let room = most - read.len();
        if piece.len() > room {
            read.extend_from_slice(&piece[..room]);
            return Ok(Answer { status, body: read, cut: true });
        }
        read.extend_from_slice(&piece);
    }
    Ok(Answer { status, body: read, cut: false })
}

/// What is wrong with a connection, in words that are the same each time.
pub(super) fn plain(error: &std::io::Error) -> String {
    error.kind().to_string()
}
