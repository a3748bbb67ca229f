//! SQL type names that DataFusion does not know or that mean something else here.
//!
//! Invariants  the precision of a timestamp decides its unit: 0 s, 3 ms, 6 us, 9 ns, none us; with a time zone it is UTC.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};
use datafusion_common::Result as PlanResult;
use datafusion_expr::planner::TypePlanner;
use sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, ObjectName, ObjectNamePart, StructField, TimezoneInfo,
};

use super::define::normalize;
use super::user_type::UserTypes;
use crate::error::{Error, Result};
use crate::sql::error::to_datafusion;

/// The zone of `TIMESTAMP WITH TIME ZONE`.
const ZONE: &str = "+00:00";

/// Our types and the users', asked before DataFusion's.
#[derive(Debug)]
pub(super) struct Types {
    users: Arc<UserTypes>,
}

impl Types {
    pub(super) fn new(users: Arc<UserTypes>) -> Self {
        Types { users }
    }
}

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &SqlType) -> PlanResult<Option<FieldRef>> {
        let data_type = convert(sql_type, &self.users).map_err(to_datafusion)?;
        Ok(data_type.map(|data_type| Arc::new(Field::new("", data_type, true))))
    }
}

/// `None`: DataFusion knows best.
fn convert(sql_type: &SqlType, users: &UserTypes) -> Result<Option<DataType>> {
    Ok(Some(match sql_type {
        SqlType::Timestamp(precision, zone) => {
            timestamp(*precision, matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone), sql_type)?
        }
        SqlType::TimestampNtz(precision) => timestamp(*precision, false, sql_type)?,
        SqlType::Datetime(precision) => timestamp(*precision, false, sql_type)?,
        SqlType::Custom(name, arguments) => match (name.to_string().to_uppercase().as_str(), arguments.as_slice()) {
            ("TIMESTAMP_LTZ", arguments) => timestamp(precision(arguments, sql_type)?, true, sql_type)?,
            ("TIMESTAMP_S", []) => DataType::Timestamp(TimeUnit::Second, None),
            ("TIMESTAMP_MS", []) => DataType::Timestamp(TimeUnit::Millisecond, None),
            ("TIMESTAMP_US", []) => DataType::Timestamp(TimeUnit::Microsecond, None),
            ("TIMESTAMP_NS", []) => DataType::Timestamp(TimeUnit::Nanosecond, None),
            (_, []) => return Ok(of_user(name, users)),
            _ => return Ok(None),
        },
        SqlType::Time(Some(precision), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => match precision {
            0 => DataType::Time32(TimeUnit::Second),
            3 => DataType::Time32(TimeUnit::Millisecond),
            6 => DataType::Time64(TimeUnit::Microsecond),
            9 => DataType::Time64(TimeUnit::Nanosecond),
            _ => return Err(wrong_precision(sql_type)),
        },
        SqlType::Nvarchar(_)
        | SqlType::Character(_)
        | SqlType::CharacterVarying(_)
        | SqlType::CharVarying(_)
        | SqlType::Clob(_)
        | SqlType::Uuid
        | SqlType::JSON
        | SqlType::JSONB => DataType::Utf8View,
        SqlType::Bytea | SqlType::Bytes(_) | SqlType::Binary(_) | SqlType::Varbinary(_) | SqlType::Blob(_) => {
            DataType::BinaryView
        }
        SqlType::Float(ExactNumberInfo::Precision(bits)) if *bits > 24 => DataType::Float64,
        SqlType::Float64 => DataType::Float64,
        SqlType::Float32 => DataType::Float32,
        SqlType::Int64 => DataType::Int64,
        SqlType::Int32 => DataType::Int32,
        SqlType::Int16 => DataType::Int16,
        SqlType::UInt64 | SqlType::UBigInt | SqlType::Unsigned | SqlType::UnsignedInteger => DataType::UInt64,
        SqlType::UInt32 => DataType::UInt32,
        SqlType::UInt16 | SqlType::USmallInt => DataType::UInt16,
        SqlType::UInt8 | SqlType::UTinyInt => DataType::UInt8,
        SqlType::Interval { .. } => DataType::Interval(IntervalUnit::MonthDayNano),
        SqlType::Map(key, value) => map(key, value, users)?,
        SqlType::Array(ArrayElemTypeDef::Parenthesis(element)) => match convert(element, users)? {
            Some(element) => DataType::List(Arc::new(Field::new_list_field(element, true))),
            None => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

/// The type of the user's that has a name.
fn of_user(name: &ObjectName, users: &UserTypes) -> Option<DataType> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => users.get(&normalize(ident)).cloned(),
        _ => None,
    }
}

fn timestamp(precision: Option<u64>, has_zone: bool, sql_type: &SqlType) -> Result<DataType> {
    let unit = match precision {
        Some(0) => TimeUnit::Second,
        Some(3) => TimeUnit::Millisecond,
        None | Some(6) => TimeUnit::Microsecond,
        Some(9) => TimeUnit::Nanosecond,
        Some(_) => return Err(wrong_precision(sql_type)),
    };
    Ok(DataType::Timestamp(unit, has_zone.then(|| ZONE.into())))
}

fn wrong_precision(sql_type: &SqlType) -> Error {
    Error::user(format!("precision not supported: {sql_type}; use 0, 3, 6 or 9"))
}

fn precision(arguments: &[String], sql_type: &SqlType) -> Result<Option<u64>> {
    match arguments {
        [] => Ok(None),
        [only] => only.parse().map(Some).map_err(|_| wrong_precision(sql_type)),
        _ => Err(wrong_precision(sql_type)),
    }
}

fn map(key: &SqlType, value: &SqlType, users: &UserTypes) -> Result<DataType> {
    let inner = |sql_type: &SqlType| {
        simple(sql_type, users).ok_or_else(|| Error::user(format!("type not supported inside MAP: {sql_type}")))
    };
    let fields = Fields::from(vec![Field::new("key", inner(key)?, false), Field::new("value", inner(value)?, true)]);
    Ok(DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields), false)), false))
}

/// The types that keys and values of a map are made of.
fn simple(sql_type: &SqlType, users: &UserTypes) -> Option<DataType> {
    Some(match sql_type {
        SqlType::String(_) | SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) => DataType::Utf8View,
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::BigInt(_) | SqlType::Int8(_) => DataType::Int64,
        SqlType::Int(_) | SqlType::Integer(_) | SqlType::Int4(_) => DataType::Int32,
        SqlType::SmallInt(_) | SqlType::Int2(_) => DataType::Int16,
        SqlType::TinyInt(_) => DataType::Int8,
        SqlType::BigIntUnsigned(_) | SqlType::Int8Unsigned(_) => DataType::UInt64,
        SqlType::IntUnsigned(_) | SqlType::IntegerUnsigned(_) | SqlType::Int4Unsigned(_) => DataType::UInt32,
        SqlType::SmallIntUnsigned(_) | SqlType::Int2Unsigned(_) => DataType::UInt16,
        SqlType::TinyIntUnsigned(_) => DataType::UInt8,
        SqlType::Decimal(info) | SqlType::Numeric(info) => decimal(*info)?,
        SqlType::Time(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Time64(TimeUnit::Nanosecond)
        }
        SqlType::Struct(fields, _) => {
            let field = |(at, field): (usize, &StructField)| {
                let name = field.field_name.as_ref().map_or_else(|| format!("c{at}"), normalize);
                Some(Field::new(name, simple(&field.field_type, users)?, true))
            };
            DataType::Struct(fields.iter().enumerate().map(field).collect::<Option<Fields>>()?)
        }
        SqlType::Double(_) | SqlType::DoublePrecision => DataType::Float64,
        SqlType::Float(ExactNumberInfo::None) | SqlType::Real => DataType::Float32,
        SqlType::Date => DataType::Date32,
        SqlType::Array(
            ArrayElemTypeDef::AngleBracket(element)
            | ArrayElemTypeDef::Parenthesis(element)
            | ArrayElemTypeDef::SquareBracket(element, None),
        ) => DataType::List(Arc::new(Field::new_list_field(simple(element, users)?, true))),
        other => return convert(other, users).ok().flatten(),
    })
}

fn decimal(info: ExactNumberInfo) -> Option<DataType> {
    let (precision, scale) = match info {
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::None => return None,
    };
    let fits = (1..=38).contains(&precision) && (0..=precision as i64).contains(&scale);
    fits.then_some(DataType::Decimal128(precision as u8, scale as i8))
}
