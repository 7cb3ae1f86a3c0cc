//! Operators between two values.

use crate::syntax::Operator;
use crate::value::Value;
use crate::{Error, Result};

/// Applies an operator; the right side is computed if it matters.
pub(super) fn apply(
    operator: Operator,
    left: &Value,
    right: impl FnOnce() -> Result<Value>,
) -> Result<Value> {
    match operator {
        Operator::Or => Ok(Value::Bool(left.to_bool()? || right()?.to_bool()?)),
        Operator::And => Ok(Value::Bool(left.to_bool()? && right()?.to_bool()?)),
        Operator::Equal => Ok(Value::Bool(*left == right()?)),
        Operator::NotEqual => Ok(Value::Bool(*left != right()?)),
        _ => numbers(operator, left.to_number()?, right()?.to_number()?),
    }
}

fn numbers(operator: Operator, left: f64, right: f64) -> Result<Value> {
    let number = match operator {
        Operator::Less => return Ok(Value::Bool(left < right)),
        Operator::LessOrEqual => return Ok(Value::Bool(left <= right)),
        Operator::Greater => return Ok(Value::Bool(left > right)),
        Operator::GreaterOrEqual => return Ok(Value::Bool(left >= right)),
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide | Operator::Modulo if right == 0.0 => {
            return Err(Error::new("nothing can be divided by zero"));
        }
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        Operator::Or | Operator::And | Operator::Equal | Operator::NotEqual => {
            return Err(Error::new("these are no numbers"));
        }
    };
    match number.is_finite() {
        true => Ok(Value::Number(number)),
        false => Err(Error::new("the number is too large")),
    }
}
