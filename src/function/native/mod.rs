//! Kernels of shared libraries as functions: columns of ours as the contract's, and what comes back as columns of ours.
//!
//! Place       `engine` loads a library when its owner allows it; what a library exports is then a function like others.
//! Invariants  a kernel's name stands in each of its errors. Rows under nulls are given to kernels that do not take
//!             nulls, and their results are null whatever they say.

mod aggregate; // an aggregate's states
mod column; //    arguments and results
mod scalar;
mod signature; // `(BIGINT, DOUBLE) -> DOUBLE` as types

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use millstream_native::{Kernel, Library};

use super::custom::{Body, Function};
use crate::error::{Error, Result};

/// The kernels that a library offers.
///
/// Failure: no library, one without kernels, or for another version of the contract.
pub fn load_all(path: &Path) -> Result<Vec<Function>> {
    let kernels = open(path)?.kernels().map_err(|why| refused(path, why))?;
    kernels.into_iter().map(|kernel| function(kernel, None).map_err(|e| e.context(shown(path)))).collect()
}

/// The kernel that `symbol` of a library describes.
///
/// Failure: as with [`load_all`], or no such symbol.
pub fn load(path: &Path, symbol: &str) -> Result<Function> {
    let kernel = open(path)?.kernel(symbol).map_err(|why| refused(path, why))?;
    function(kernel, Some(symbol)).map_err(|e| e.context(shown(path)))
}

fn open(path: &Path) -> Result<Library> {
    Library::open(path).map_err(|why| Error::outside(why).context(shown(path)))
}

fn refused(path: &Path, why: String) -> Error {
    Error::user(why).context(shown(path))
}

fn shown(path: &Path) -> String {
    format!("library {}", path.display())
}

fn function(kernel: Kernel, symbol: Option<&str>) -> Result<Function> {
    let parsed = signature::parse(&kernel.signature);
    let (args, result) = parsed.map_err(|why| Error::user(format!("{}: {why}", symbol.unwrap_or(&kernel.name))))?;
    let (name, doc) = (kernel.name.clone(), kernel.doc.clone());
    let body = match kernel.is_aggregate() {
        true => Body::Aggregate(Arc::new(aggregate::NativeAggregate::new(kernel, args.clone(), result))),
        false => {
            Body::Scalar { kernel: Arc::new(scalar::NativeScalar::new(kernel, args.clone(), result)), trying: None }
        }
    };
    Ok(Function { name, doc, example: String::new(), args, body })
}

/// The type of a function's result.
pub fn result_type(function: &Function) -> DataType {
    match &function.body {
        Body::Scalar { kernel, .. } => kernel.result_type(),
        Body::Aggregate(function) => function.result_type(),
    }
}
