use super::{Common, Exit, Failure};
use clap::Args;
#[derive(Debug, Args)]
pub struct Options {}
pub(super) fn run(_c: &Common, _o: &Options) -> Result<Exit, Failure> {
    Ok(Exit::Success)
}
