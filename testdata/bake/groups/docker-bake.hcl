group "default" { targets = ["inner", "c"] }
group "inner" {
  description = "some of it"
  targets     = ["a", "b"]
}
target "a" {}
target "b" {}
target "c" { dockerfile = "" }
