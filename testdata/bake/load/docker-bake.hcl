target "plain" {}
target "docker" { output = ["type=docker"] }
target "files" { output = ["type=local,dest=out"] }
target "image" { output = ["type=image,name=x"] }
