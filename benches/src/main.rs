//! How fast the library is, beside other crates and beside what the machine allows: `cargo xtask bench` runs this.
//!
//! [`harness`] is the one way of measuring. The groups ([`pages`], with the slots; [`heap`]; [`programs`]) say what is measured, of
//! whom, and see to it that what is written is read back. [`report`] makes a table and a page of the rows.

mod harness;
mod heap;
mod options;
mod pages;
mod programs;
mod random;
mod report;
mod rows;

use std::path::Path;
use std::process::ExitCode;

use options::Options;
use rows::{Findings, versions};

/// Who is measured beside the library, as the lock file calls them.
const PEERS: [&str; 14] = [
    "bitmap-allocator",
    "buddy_system_allocator",
    "libmimalloc-sys",
    "linked_list_allocator",
    "mimalloc",
    "page_table_multiarch",
    "rbpf",
    "rlsf",
    "snmalloc-rs",
    "spin",
    "talc",
    "tikv-jemalloc-sys",
    "tikv-jemallocator",
    "x86_64",
];

fn main() -> ExitCode {
    let done = Options::parse(std::env::args().skip(1)).map_err(|why| format!("{why}\n{}", options::HELP));
    match done.and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if let Some((name, case)) = &options.apart {
        println!("{}", heap::run_apart(name, case).ok_or_else(|| format!("there is no {name}, or no {case}"))?);
        return Ok(());
    }
    let mut findings = Findings {
        machine: machine(),
        kernel_compiler: None,
        versions: versions(include_str!("../../Cargo.lock"), &PEERS),
        rows: Vec::new(),
    };
    let groups = [
        ("slots", pages::slots as fn() -> _),
        ("pages", pages::cases),
        ("heap", heap::cases),
        ("programs", programs::cases),
    ];
    for (group, cases) in groups.into_iter().filter(|(group, _)| options.wants(group)) {
        for case in cases() {
            let case = case();
            if options.wants_case(&case.name) {
                eprintln!("{group}: {}", case.name);
                findings.rows.extend(case.measure(options.effort));
            }
        }
        if group == "heap" {
            findings.rows.extend(heap::rows_apart(options.effort, |name| options.wants_case(name)));
        }
    }
    if let Some(file) = &options.kernel {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        findings.add_counted(&text)?;
    }
    print!("{}", report::table::text(&findings));
    if !cfg!(feature = "peers-c") && options.wants("heap") {
        println!("without the feature `peers-c` mimalloc, jemalloc and snmalloc are left out");
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&findings).map_err(|error| error.to_string())?;
        write(file, &text)?;
    }
    if let Some(file) = &options.html {
        write(file, &report::page::html(&findings))?;
        println!("{}", file.display());
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    directory
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(file, text))
        .map_err(|error| format!("{}: {error}", file.display()))
}

/// What times were measured on, as far as the system says.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name").map(|rest| rest.trim_start_matches([' ', '\t', ':'])));
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        "{}, {cpus} CPUs, {} {}",
        model.unwrap_or("unknown processor"),
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}
