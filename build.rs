//! Generates the custom trigger's types from its contract. Needs no `protoc`.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/trigger.proto");
    println!("cargo::rerun-if-changed=migrations");
    let descriptors = protox::compile(["trigger.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("triggers.bin");
    tonic_prost_build::configure().file_descriptor_set_path(out).compile_fds(descriptors)?;
    Ok(())
}
