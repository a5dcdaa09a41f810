// SPDX-License-Identifier: GPL-2.0-only
//! Lines that match, in files below directories, as grep -rn prints them.

use clap::Parser;
use regex::bytes::{Regex, RegexBuilder};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

#[derive(Parser)]
#[command(name = "grep", about = "Search files below directories")]
struct Options {
    /// Letters match in both cases
    #[arg(short, long)]
    ignore_case: bool,
    /// Only how many lines of each file match
    #[arg(short, long)]
    count: bool,
    /// Lines that do not match
    #[arg(short = 'v', long)]
    invert_match: bool,
    pattern: String,
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

fn search(path: &Path, regex: &Regex, options: &Options, out: &mut impl Write) -> io::Result<u64> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    let (mut number, mut found) = (0u64, 0u64);
    while reader.read_until(b'\n', &mut line)? > 0 {
        number += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if regex.is_match(text) != options.invert_match {
            found += 1;
            if !options.count {
                write!(out, "{}:{}:", path.display(), number)?;
                out.write_all(text)?;
                out.write_all(b"\n")?;
            }
        }
        line.clear();
    }
    if options.count {
        writeln!(out, "{}:{}", path.display(), found)?;
    }
    Ok(found)
}

fn main() {
    let options = Options::parse();
    let regex = match RegexBuilder::new(&options.pattern).case_insensitive(options.ignore_case).build() {
        Ok(regex) => regex,
        Err(error) => {
            eprintln!("grep: {error}");
            std::process::exit(2);
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut found, mut failed) = (0, false);
    for path in &options.paths {
        for entry in WalkDir::new(path).sort_by_file_name() {
            let outcome = match &entry {
                Ok(entry) if entry.file_type().is_file() => search(entry.path(), &regex, &options, &mut out),
                Ok(_) => Ok(0),
                Err(_) => Err(io::Error::other("cannot be listed")),
            };
            match outcome {
                Ok(n) => found += n,
                Err(error) => {
                    eprintln!("grep: {}: {error}", path.display());
                    failed = true;
                }
            }
        }
    }
    out.flush().unwrap();
    std::process::exit(if failed { 2 } else { (found == 0) as i32 });
}
