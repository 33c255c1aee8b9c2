//! Links the network, and takes its sizes and fingerprint from the manifest that `cnncc compile` wrote.
//!
//!     cnncc compile examples/digits.py --kinds a,json -o build
//!     DIGITS_DIR="$PWD/build" cargo run --offline --manifest-path examples/embed/rust/Cargo.toml build/7.raw
use std::{env, fs, path::Path};

/// The first whole number behind `"name":` in the manifest; a JSON library is not worth a dependency for three numbers.
fn number(manifest: &str, name: &str) -> u64 {
    let key = format!("\"{name}\":");
    let values = manifest.split(&key).skip(1);
    let digits = values.map(|text| text.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap());
    digits.filter_map(|text| text.parse().ok()).next().unwrap_or_else(|| panic!("the manifest has no {name}"))
}

fn main() {
    let folder = env::var("DIGITS_DIR").expect("DIGITS_DIR names the folder that cnncc compile wrote to");
    let path = Path::new(&folder).join("digits.json");
    let manifest = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    println!("cargo:rustc-link-search=native={folder}");
    println!("cargo:rustc-link-lib=static=digits");
    println!("cargo:rerun-if-changed={}", path.display());
    println!("cargo:rerun-if-env-changed=DIGITS_DIR");
    let text = format!(
        "pub const ABI: u32 = {};\npub const FINGERPRINT: u32 = {};\npub const WORKSPACE_BYTES: usize = {};\n",
        number(&manifest, "abi"),
        number(&manifest, "fingerprint"),
        number(&manifest, "workspace_bytes"),
    );
    fs::write(Path::new(&env::var("OUT_DIR").unwrap()).join("digits.rs"), text).unwrap();
}
