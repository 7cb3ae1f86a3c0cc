variable "FOO" {
  default = "abc"
  validation {
    condition     = FOO != ""
    error_message = "FOO is not empty"
  }
  validation {
    condition     = strlen(FOO) > 2
    error_message = "FOO is long"
  }
}
target "default" { args = { foo = FOO } }
