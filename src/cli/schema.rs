//! `schema`: the JSON Schema of what people write.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::{Common, Exit, Failure, Output, output};
use crate::domain::schema::{Kind, schema};

/// Which schema.
#[derive(Debug, Args)]
pub struct Options {
    /// Of what
    #[arg(default_value = "values", value_parser = parser())]
    kind: Kind,
}

fn parser() -> impl clap::builder::TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(["values", "microservice", "dependency"]).try_map(|text| text.parse::<Kind>())
}

/// Prints it; there is no other form for people than JSON.
pub(super) fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    let output = if common.output == Output::Table { Output::Json } else { common.output };
    output::print(output, &schema(options.kind), String::new)?;
    Ok(Exit::Success)
}
