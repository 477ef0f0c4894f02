use clap::Args;
use super::{Common, Exit, Failure};
#[derive(Debug, Args)]
pub struct Options {}
pub(super) fn run(_c: &Common, _o: &Options) -> Result<Exit, Failure> { Ok(Exit::Success) }
