//! What happens at a server, as it happens: its event stream, taken up again where it broke off.

use reqwest::header::ACCEPT;
use reqwest::{Method, Response};

use super::endpoint::{Arguments, STREAM};
use super::{Client, ClientError, answered, retry};

/// The longest line that is read.
const LONGEST: usize = 1 << 20;

/// Attempts to take a stream up again, before that is told.
const ATTEMPTS: u32 = 8;

/// An open event stream.
#[derive(Debug)]
pub struct Feed {
    client: Client,
    stream: Option<Response>,
    buffer: Vec<u8>,
    last: Option<String>,
    failures: u32,
}

impl Client {
    /// What happens at the server from now on.
    pub fn feed(&self) -> Feed {
        Feed { client: self.clone(), stream: None, buffer: Vec::new(), last: None, failures: 0 }
    }
}

impl Feed {
    /// Waits until something happened, or may have: also when the stream was taken up again.
    ///
    /// # Errors
    /// When the server refuses, or did not answer for too often.
    pub async fn happened(&mut self) -> Result<(), ClientError> {
        loop {
            let outcome = match self.stream.take() {
                None => self.open().await,
                Some(stream) => self.read(stream).await,
            };
            match outcome {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => self.failed(error).await?,
            }
        }
    }

    /// Waits before the next attempt, where one may help.
    async fn failed(&mut self, error: ClientError) -> Result<(), ClientError> {
        self.failures += 1;
        let (may_help, asked) = match &error {
            ClientError::Unreachable { .. } => (true, None),
            ClientError::Refused { status: 429 | 502 | 503 | 504, retry_after, .. } => (true, *retry_after),
            ClientError::Refused { .. }
            | ClientError::Setting(_)
            | ClientError::Login(_)
            | ClientError::Redirect { .. }
            | ClientError::Unreadable { .. } => (false, None),
        };
        if !may_help || self.failures > ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(retry::pause(self.failures, asked, fastrand::f64())).await;
        Ok(())
    }

    async fn open(&mut self) -> Result<bool, ClientError> {
        let url = STREAM.url(&self.client.base, &Arguments::new())?;
        let mut request = self.client.request(Method::GET, url.clone()).header(ACCEPT, "text/event-stream");
        if let Some(last) = &self.last {
            request = request.header("last-event-id", last);
        }
        self.buffer.clear();
        self.stream = Some(answered(&url, request.send().await).await?);
        Ok(false)
    }

    /// Takes the next piece in; true when it has an event in it.
    async fn read(&mut self, mut stream: Response) -> Result<bool, ClientError> {
        let chunk = stream.chunk().await.map_err(|error| ClientError::unreachable(stream.url(), &error))?;
        let Some(chunk) = chunk else {
            // The server stops, or something between cut the stream: it is taken up again.
            let reason = "the stream ended".to_owned();
            return Err(ClientError::Unreachable { url: stream.url().clone(), reason });
        };
        self.failures = 0;
        self.buffer.extend_from_slice(&chunk);
        if self.buffer.len() > LONGEST {
            let reason = "a line of the stream is too long".to_owned();
            return Err(ClientError::Unreadable { url: stream.url().clone(), reason });
        }
        let seen = take(&mut self.buffer);
        self.last = seen.last.or(self.last.take());
        self.stream = Some(stream);
        Ok(seen.events > 0)
    }
}

/// What whole lines of a stream have in them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    events: usize,
    /// The last id.
    last: Option<String>,
}

/// Takes the whole lines out of a buffer.
fn take(buffer: &mut Vec<u8>) -> Seen {
    let mut seen = Seen::default();
    let end = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines: Vec<u8> = buffer.drain(..end).collect();
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"event:") {
            seen.events += 1;
        } else if let Some(id) = line.strip_prefix(b"id:") {
            let id = String::from_utf8_lossy(id);
            seen.last = Some(id.strip_prefix(' ').unwrap_or(&id).to_owned());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_ids_are_found_however_the_stream_is_cut() {
        let text =
            b": hello\n\nevent: ready\nid: 7\ndata: {}\n\nevent:moved\r\nid:8\r\ndata: {}\r\n\r\nid: 9";
        for cut in 0..text.len() {
            let mut buffer = text[..cut].to_vec();
            let first = take(&mut buffer);
            buffer.extend_from_slice(&text[cut..]);
            let second = take(&mut buffer);
            assert_eq!(first.events + second.events, 2, "{cut}");
            assert_eq!(second.last.or(first.last).as_deref(), Some("8"), "{cut}");
            assert_eq!(buffer, b"id: 9");
        }
    }
}
