//! Passes on the kernels' linker script (for a host there is none), and writes a table of the objects that are committed.

use std::path::Path;
use std::{env, fs};

fn main() {
    if let Ok(script) = env::var("DEP_EXAMPLE_KERNEL_SCRIPT") {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    let package = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let folder = Path::new(&package).join("../../bpf/programs/objects");
    println!("cargo::rerun-if-changed={}", folder.display());
    let files = fs::read_dir(&folder).expect("the objects are there").map(|file| file.expect("it is read").path());
    let mut objects: Vec<_> = files.filter(|file| file.extension().is_some_and(|extension| extension == "o")).collect();
    objects.sort();
    let mut table = String::from("[\n");
    for object in objects {
        let name = object.file_name().unwrap_or_default().to_string_lossy();
        table += &format!("    ({name:?}, include_bytes!({:?})),\n", object.display().to_string());
    }
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    fs::write(Path::new(&out).join("objects.in"), table + "]\n").expect("the table is written");
}
