# All that has to be said of a small project.
group "default" {
  targets = ["app", "db"]
}

target "app" {
  context    = "./app/"
  dockerfile = "Dockerfile.app"
  tags       = ["docker.io/example/app:latest", "docker.io/example/app:1"]
  args = {
    GO_VERSION = "1.25"
    EMPTY      = ""
    NONE       = null
  }
  labels = {
    "org.opencontainers.image.source" = "https://example.com/?a=1&b=<2>"
  }
  no-cache  = true
  platforms = ["linux/amd64", "linux/arm64", "linux/amd64"]
}

target "db" { tags = ["docker.io/example/db"] }
