// SPDX-License-Identifier: GPL-2.0-only
//! Says hello, prints its arguments, sorts through a map.

use std::collections::BTreeMap;

fn main() {
    println!("hello, world");
    for (i, argument) in std::env::args().enumerate().skip(1) {
        println!("argument {i}: {argument}");
    }
    let mut lengths = BTreeMap::new();
    for word in std::env::args().skip(1) {
        *lengths.entry(word.len()).or_insert(0u32) += 1;
    }
    println!("{lengths:?}");
    if let Ok(status) = std::env::var("WJ_STATUS") {
        std::process::exit(status.parse().unwrap());
    }
}
